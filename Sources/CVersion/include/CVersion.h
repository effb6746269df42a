#ifndef CVERSION_H
#define CVERSION_H

// The commit of the checkout that the program was built in; empty where it is none. Changes on top of it are not told.
const char *cv_commit(void);

#endif
