#ifndef CVERSION_H
#define CVERSION_H

// The commit that the program was built from, "+" behind it where files had changed; empty where it is not known.
const char *cv_commit(void);

#endif
