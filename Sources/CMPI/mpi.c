#include "cmpi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef intptr_t handle;

// Prototypes of our own: in every ABI a handle fits a word, though MPICH writes only four bytes of one.
static struct {
    int (*Init_thread)(int *, char ***, int, int *);
    int (*Finalize)(void);
    int (*Comm_rank)(handle, int *);
    int (*Comm_size)(handle, int *);
    int (*Comm_set_errhandler)(handle, handle);
    int (*Error_string)(int, char *, int *);
    int (*Get_library_version)(char *, int *);
    int (*Isend)(const void *, int, handle, int, int, handle, handle *);
    int (*Irecv)(void *, int, handle, int, int, handle, handle *);
    int (*Test)(handle *, int *, void *);
    int (*Iallgather)(const void *, int, handle, void *, int, handle, handle, handle *);
    int (*Ibcast)(void *, int, handle, int, handle, handle *);
    int (*Ibarrier)(handle, handle *);
    int (*Abort)(handle, int);
} mpi;

// What the ABIs differ in.
static struct {
    handle world, byte, errors_return;
    void *status_ignore;
    int thread_funneled;
} abi;

static int missing(const char *name, char *why, int size) {
    snprintf(why, size, "%s is missing in it", name);
    return 1;
}

static int load(void *library, char *why, int size) {
#define LOAD(name)                                                                        \
    do {                                                                                  \
        *(void **)&mpi.name = dlsym(library, "MPI_" #name);                               \
        if (!mpi.name) return missing("MPI_" #name, why, size);                           \
    } while (0)
    LOAD(Init_thread);
    LOAD(Finalize);
    LOAD(Comm_rank);
    LOAD(Comm_size);
    LOAD(Comm_set_errhandler);
    LOAD(Error_string);
    LOAD(Get_library_version);
    LOAD(Isend);
    LOAD(Irecv);
    LOAD(Test);
    LOAD(Iallgather);
    LOAD(Ibcast);
    LOAD(Ibarrier);
    LOAD(Abort);
    return 0;
}

// MPI 5's own binary interface (chapter 20 of the standard): small constants.
static int is_standard(void *library, const char *path) {
    int (*version)(int *, int *);
    *(void **)&version = dlsym(library, "MPI_Abi_get_version");
    int major = -1, minor = 0;
    return version && strstr(path, "libmpi_abi") && version(&major, &minor) == 0 && major >= 1;
}

static int settle(void *library, const char *path, char *why, int size) {
    if (is_standard(library, path)) {
        abi.world = 0x101;
        abi.byte = 0x247;
        abi.errors_return = 0x143;
        abi.thread_funneled = 1024;
        return 0;
    }
    abi.world = (handle)dlsym(library, "ompi_mpi_comm_world");
    abi.thread_funneled = 1;
    if (abi.world) {  // Open MPI 4 and 5: handles are addresses of objects in the library
        abi.byte = (handle)dlsym(library, "ompi_mpi_byte");
        abi.errors_return = (handle)dlsym(library, "ompi_mpi_errors_return");
        if (!abi.byte || !abi.errors_return) return missing("a predefined object", why, size);
        return 0;
    }
    // The MPICH family: handles are 32-bit numbers.
    abi.world = 0x44000000;
    abi.byte = 0x4c00010d;
    abi.errors_return = 0x54000001;
    abi.status_ignore = (void *)1;
    return 0;
}

int cm_open(const char *wish, char *why, int size) {
    static const char *usual[] = {"libmpi_abi.so.0", "libmpi.so.40", "libmpi.so.12", "libmpich.so.12", 0};
    const char *wished[] = {wish, 0};
    for (const char **name = wish ? wished : usual; *name; name++) {
        void *library = dlopen(*name, RTLD_NOW | RTLD_GLOBAL);
        if (library) return load(library, why, size) || settle(library, *name, why, size);
        const char *reason = dlerror();
        snprintf(why, size, "%s", reason ? reason : "cannot be opened");
    }
    return 1;
}

int cm_start(int *rank, int *size) {
    int provided = 0, code;
    if ((code = mpi.Init_thread(0, 0, abi.thread_funneled, &provided))) return code;
    if ((code = mpi.Comm_set_errhandler(abi.world, abi.errors_return))) return code;
    if ((code = mpi.Comm_rank(abi.world, rank))) return code;
    return mpi.Comm_size(abi.world, size);
}

void cm_version(char *text, int size) {
    char whole[8192] = "";
    int length = 0;
    mpi.Get_library_version(whole, &length);
    whole[strcspn(whole, ",\n")] = 0;
    snprintf(text, size, "%s", whole);
}

int cm_send(const void *bytes, int count, int to, int tag, intptr_t *request) {
    *request = 0;
    return mpi.Isend(bytes, count, abi.byte, to, tag, abi.world, request);
}

int cm_receive(void *bytes, int count, int from, int tag, intptr_t *request) {
    *request = 0;
    return mpi.Irecv(bytes, count, abi.byte, from, tag, abi.world, request);
}

int cm_all_gather(const void *mine, int count, void *all, intptr_t *request) {
    *request = 0;
    return mpi.Iallgather(mine, count, abi.byte, all, count, abi.byte, abi.world, request);
}

int cm_broadcast(void *bytes, int count, int root, intptr_t *request) {
    *request = 0;
    return mpi.Ibcast(bytes, count, abi.byte, root, abi.world, request);
}

int cm_barrier(intptr_t *request) {
    *request = 0;
    return mpi.Ibarrier(abi.world, request);
}

int cm_test(intptr_t *request, int *done) { return mpi.Test(request, done, abi.status_ignore); }

void cm_describe(int code, char *text, int size) {
    char whole[1024] = "";
    int length = 0;
    if (mpi.Error_string(code, whole, &length)) snprintf(whole, sizeof whole, "error %d", code);
    snprintf(text, size, "%s", whole);
}

void cm_abort(int code) { mpi.Abort(abi.world, code); }

int cm_finish(void) { return mpi.Finalize(); }
