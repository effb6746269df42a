#include "CVersion.h"

#ifndef DIPTYCH_COMMIT
#define DIPTYCH_COMMIT ""
#endif

const char *cv_commit(void) { return DIPTYCH_COMMIT; }
