/* Tokens of lines that were read twice, as one reading. Private. */
#ifndef NR_EXTRACT_TIDY_H
#define NR_EXTRACT_TIDY_H

#include "observable/observable.h"

/*
 * T are the tokens of TEXT under NR_SCAN_FANGS: bring those of each line into
 * the order of their place, the longer of two that begin together first; of
 * equal ones one stays, and a token without disarmed text that lies in one of
 * its kind with it ("evil.com" in "www[.]evil.com") goes.
 */
void nr_tidy(struct nr_bytes text, struct nr_tokens *t);

#endif
