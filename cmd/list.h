/* The LIST arguments of commands: any form that src/feed recognises. */
#ifndef LIST_H
#define LIST_H

#include "cli.h"

struct nr_indicator;
struct list;

/*
 * Load N files as one list. What is in them but cannot be taken is counted in
 * one warning per reason on stderr. NR_EFORMAT when nothing can be taken.
 */
enum nr_err list_load(const struct cli *cli, const char *const *paths, size_t n,
    struct list **out, struct nr_diag *d) NR_MUST_USE;

/* Pointers to its indicators; borrowed from L. Their values may be empty until
 * list_spell(): of a large list few are printed. */
void list_indicators(const struct list *l, const struct nr_indicator ***v,
    size_t *n);

void list_spell(struct list *l, size_t i);

void list_free(struct list *l); /* NULL is fine */

#endif
