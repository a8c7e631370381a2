/* Properties on any octets: what parses prints to a text that parses and
 * prints the same; every part of it is an atom or named in the rest. */
#include "stix/stix.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nr_str
text_of(const struct nr_buf *b)
{
    struct nr_str s;

    assert(!b->err && nr_str_from_utf8(nr_buf_bytes(b), &s));
    return s;
}

static void
properties(struct nr_arena *a, const struct nr_stix_node *tree)
{
    const struct nr_stix_node *again;
    struct nr_stix_atoms atoms;
    struct nr_buf one, two;

    nr_buf_init(&one, ROOM);
    nr_buf_init(&two, ROOM);
    nr_stix_pattern_print(tree, &one);
    assert(nr_stix_pattern_parse(a, text_of(&one), &again, NULL) == NR_OK);
    nr_stix_pattern_print(again, &two);
    assert(nr_bytes_eq(nr_buf_bytes(&one), nr_buf_bytes(&two)));
    assert(nr_stix_pattern_atoms(a, tree, &atoms, NULL) == NR_OK);
    assert(atoms.n + atoms.n_rest > 0);
    nr_buf_fini(&one);
    nr_buf_fini(&two);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nr_stix_node *tree = NULL;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    struct nr_str text;
    uint8_t *copy = malloc(size + !size);
    enum nr_err err;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    nr_arena_init(&a, ROOM);
    if (nr_str_from_utf8((struct nr_bytes){ copy, size }, &text)) {
        err = nr_stix_pattern_parse(&a, text, &tree, &d);
        assert(err == NR_OK || (d.err == err && d.at <= size && d.what));
        if (err == NR_OK)
            properties(&a, tree);
    }
    nr_arena_fini(&a);
    free(copy);
    return 0;
}
