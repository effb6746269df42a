#ifndef CMPI_H
#define CMPI_H

#include <stdint.h>

// MPI as it is found when the program runs: no header and no library is needed to build. All calls but cm_open from one
// thread, which is the one that called cm_start. Codes are 0 or MPI's.

// Opens a library: the one wished for, or the first of the usual names. 0, or 1 with the reason in why.
int cm_open(const char *wish, char *why, int size);
int cm_start(int *rank, int *size);
// The library's own name and version, one line.
void cm_version(char *text, int size);
int cm_send(const void *bytes, int count, int to, int tag, intptr_t *request);
int cm_receive(void *bytes, int count, int from, int tag, intptr_t *request);
int cm_all_gather(const void *mine, int count, void *all, intptr_t *request);
int cm_broadcast(void *bytes, int count, int root, intptr_t *request);
int cm_barrier(intptr_t *request);
int cm_test(intptr_t *request, int *done);
void cm_describe(int code, char *text, int size);
// Ends every process with this code. Does not return where the library does not.
void cm_abort(int code);
int cm_finish(void);

#endif
