/* A library to preload: it counts the file operations under a folder and plants a fault at the n-th of them.

   FAULT_FOLDER   absolute path; what happens to this folder and to all below it is counted
   FAULT_AT       the operation that is struck, counted from 1; without it all go through
   FAULT_HOW      kill    the process ends there as by a power cut; of a write, half is done first
                  short   a write does half of its bytes and says so, as POSIX lets it
                  EIO, ENOSPC, EMFILE   the operation fails so, where it can: a read needs no room on the disk
   FAULT_STICKY   set: all later operations are struck as well, as on a disk that stays full
   FAULT_READS    set: files opened for reading, and reads of them, are operations, too
   FAULT_LOG      a file that gets a line an operation: number, name, path

   Build: cc -shared -fPIC -O1 -U_FORTIFY_SOURCE -o fault.so fault.c -ldl -lpthread */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What an operation asks of the system decides which errors it can meet. */
enum needs { NOTHING = 0, ROOM = 1, DESCRIPTOR = 2, BYTES = 4 };

/* What is to happen at an operation: one of these, or an errno. */
enum fault { GO = 0, KILL = -1, SHORT = -2 };

static struct {
    const char *folder;
    long at;
    int how;
    int is_sticky;
    int counts_reads;
    int log;
} plan;

static long count;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t planned = PTHREAD_ONCE_INIT;

/* The C library's own function of this name. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int fault_named(const char *name) {
    if (!strcmp(name, "kill")) return KILL;
    if (!strcmp(name, "short")) return SHORT;
    if (!strcmp(name, "EIO")) return EIO;
    if (!strcmp(name, "ENOSPC")) return ENOSPC;
    if (!strcmp(name, "EMFILE")) return EMFILE;
    return GO;
}

static void read_plan(void) {
    const char *at = getenv("FAULT_AT"), *how = getenv("FAULT_HOW"), *log = getenv("FAULT_LOG");
    plan.folder = getenv("FAULT_FOLDER");
    plan.at = at ? atol(at) : 0;
    plan.how = how ? fault_named(how) : GO;
    plan.is_sticky = getenv("FAULT_STICKY") != NULL;
    plan.counts_reads = getenv("FAULT_READS") != NULL;
    plan.log = log ? REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
}

/* --- Which paths count --- */

/* The path of a descriptor; the kernel knows it, so none has to be tracked through dup, mkstemp and renames. */
static int path_of_descriptor(int descriptor, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* The absolute path of a name given relative to a folder's descriptor. */
static int absolute_path(int folder, const char *name, char path[PATH_MAX]) {
    if (!name) return 0;
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    if (folder == AT_FDCWD ? !getcwd(path, PATH_MAX) : !path_of_descriptor(folder, path)) return 0;
    size_t length = strlen(path);
    return snprintf(path + length, PATH_MAX - length, "/%s", name) < (int)(PATH_MAX - length);
}

static int is_inside(const char *path) {
    size_t length = plan.folder ? strlen(plan.folder) : 0;
    return length && !strncmp(path, plan.folder, length) && (path[length] == 0 || path[length] == '/' || path[length] == '.');
}

/* --- The count --- */

static void note(const char *operation, const char *path) {
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", count, operation, path);
    if (plan.log >= 0) (void)!REAL(write)(plan.log, line, length);
}

static int applies(int fault, int needs) {
    switch (fault) {
    case ENOSPC: return needs & ROOM;
    case EMFILE: return needs & DESCRIPTOR;
    case SHORT: return needs & BYTES;
    default: return 1;
    }
}

/* Counts an operation on an absolute path and says what is to happen. */
static int fault_at(const char *operation, const char *path, int needs) {
    if (!is_inside(path)) return GO;
    pthread_mutex_lock(&counting);
    count++;
    note(operation, path);
    int is_struck = plan.at > 0 && (count == plan.at || (plan.is_sticky && count > plan.at));
    pthread_mutex_unlock(&counting);
    return is_struck && applies(plan.how, needs) ? plan.how : GO;
}

static void end_here(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Ends the process, or sets errno and answers 1, or answers 0: go on. */
static int is_stopped(int fault) {
    if (fault == KILL) end_here();
    if (fault == GO || fault == SHORT) return 0;
    errno = fault;
    return 1;
}

static int stops_at_name(const char *operation, int folder, const char *name, int needs) {
    char path[PATH_MAX];
    int before = errno;
    pthread_once(&planned, read_plan);
    int fault = plan.folder && absolute_path(folder, name, path) ? fault_at(operation, path, needs) : GO;
    errno = before;
    return is_stopped(fault);
}

static int fault_at_descriptor(const char *operation, int descriptor, int needs) {
    char path[PATH_MAX];
    int before = errno;
    pthread_once(&planned, read_plan);
    int fault = plan.folder && path_of_descriptor(descriptor, path) ? fault_at(operation, path, needs) : GO;
    errno = before;
    return fault;
}

/* --- Opening --- */

static int stops_opening(int folder, const char *name, int flags) {
    int writes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
    pthread_once(&planned, read_plan);
    if (!writes && !plan.counts_reads) return 0;
    return stops_at_name(writes ? "open" : "open-to-read", folder, name, DESCRIPTOR | (flags & O_CREAT ? ROOM : 0));
}

/* The mode that follows the flags when a file may be made. */
#define MODE_AFTER(flags)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, mode_t);                                                                                   \
        va_end(list);                                                                                                  \
    }

int open(const char *name, int flags, ...) {
    MODE_AFTER(flags)
    return stops_opening(AT_FDCWD, name, flags) ? -1 : REAL(open)(name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE_AFTER(flags)
    return stops_opening(AT_FDCWD, name, flags) ? -1 : REAL(open64)(name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...) {
    MODE_AFTER(flags)
    return stops_opening(folder, name, flags) ? -1 : REAL(openat)(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...) {
    MODE_AFTER(flags)
    return stops_opening(folder, name, flags) ? -1 : REAL(openat64)(folder, name, flags, mode);
}

int mkstemp(char *name) {
    return stops_at_name("mkstemp", AT_FDCWD, name, DESCRIPTOR | ROOM) ? -1 : REAL(mkstemp)(name);
}

/* --- Bytes --- */

ssize_t write(int descriptor, const void *bytes, size_t size) {
    int fault = fault_at_descriptor("write", descriptor, ROOM | BYTES);
    if (fault == SHORT && size > 1) return REAL(write)(descriptor, bytes, size / 2);
    if (fault == KILL) (void)!REAL(write)(descriptor, bytes, size / 2);
    return is_stopped(fault) ? -1 : REAL(write)(descriptor, bytes, size);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    int fault = fault_at_descriptor("pwrite", descriptor, ROOM | BYTES);
    if (fault == SHORT && size > 1) return REAL(pwrite)(descriptor, bytes, size / 2, offset);
    if (fault == KILL) (void)!REAL(pwrite)(descriptor, bytes, size / 2, offset);
    return is_stopped(fault) ? -1 : REAL(pwrite)(descriptor, bytes, size, offset);
}

ssize_t read(int descriptor, void *bytes, size_t size) {
    pthread_once(&planned, read_plan);
    int fault = plan.counts_reads ? fault_at_descriptor("read", descriptor, BYTES) : GO;
    if (fault == SHORT && size > 1) return REAL(read)(descriptor, bytes, size / 2);
    return is_stopped(fault) ? -1 : REAL(read)(descriptor, bytes, size);
}

ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset) {
    pthread_once(&planned, read_plan);
    int fault = plan.counts_reads ? fault_at_descriptor("pread", descriptor, BYTES) : GO;
    if (fault == SHORT && size > 1) return REAL(pread)(descriptor, bytes, size / 2, offset);
    return is_stopped(fault) ? -1 : REAL(pread)(descriptor, bytes, size, offset);
}

int ftruncate(int descriptor, off_t size) {
    return is_stopped(fault_at_descriptor("ftruncate", descriptor, ROOM)) ? -1 : REAL(ftruncate)(descriptor, size);
}

int fsync(int descriptor) {
    return is_stopped(fault_at_descriptor("fsync", descriptor, ROOM)) ? -1 : REAL(fsync)(descriptor);
}

int fdatasync(int descriptor) {
    return is_stopped(fault_at_descriptor("fdatasync", descriptor, ROOM)) ? -1 : REAL(fdatasync)(descriptor);
}

/* --- Names --- */

int rename(const char *from, const char *to) {
    return stops_at_name("rename", AT_FDCWD, from, ROOM) ? -1 : REAL(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return stops_at_name("renameat", from_folder, from, ROOM) ? -1 : REAL(renameat)(from_folder, from, to_folder, to);
}

int link(const char *from, const char *to) {
    return stops_at_name("link", AT_FDCWD, to, ROOM) ? -1 : REAL(link)(from, to);
}

int unlink(const char *name) {
    return stops_at_name("unlink", AT_FDCWD, name, NOTHING) ? -1 : REAL(unlink)(name);
}

int unlinkat(int folder, const char *name, int flags) {
    return stops_at_name("unlinkat", folder, name, NOTHING) ? -1 : REAL(unlinkat)(folder, name, flags);
}

int mkdir(const char *name, mode_t mode) {
    return stops_at_name("mkdir", AT_FDCWD, name, ROOM) ? -1 : REAL(mkdir)(name, mode);
}

int mkdirat(int folder, const char *name, mode_t mode) {
    return stops_at_name("mkdirat", folder, name, ROOM) ? -1 : REAL(mkdirat)(folder, name, mode);
}

int rmdir(const char *name) {
    return stops_at_name("rmdir", AT_FDCWD, name, NOTHING) ? -1 : REAL(rmdir)(name);
}
