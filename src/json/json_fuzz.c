/*
 * Properties on any octets: the reader and the checker agree but for twins;
 * what was read, written and read again is the same text; the canonical form
 * is a fixed point; a stream in chunks hands out just the tree's members.
 */
#include "json/json.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
print(const struct nr_json *j, struct nr_buf *out)
{
    struct nr_json_out o;

    nr_json_out_init(&o, out);
    nr_json_put_tree(&o, j);
    assert(nr_json_out_end(&o) == NR_OK);
}

static void
round_trip(struct nr_arena *a, const struct nr_json *j)
{
    struct nr_buf one, two;
    const struct nr_json *again;

    nr_buf_init(&one, ROOM);
    nr_buf_init(&two, ROOM);
    print(j, &one);
    assert(nr_json_parse(a, nr_buf_bytes(&one), &again, NULL) == NR_OK);
    print(again, &two);
    assert(nr_bytes_eq(nr_buf_bytes(&one), nr_buf_bytes(&two)));
    nr_buf_reset(&one);
    nr_buf_reset(&two);
    if (nr_json_canon(a, j, &one, NULL) == NR_OK) {
        assert(nr_json_parse(a, nr_buf_bytes(&one), &again, NULL) == NR_OK);
        assert(nr_json_canon(a, again, &two, NULL) == NR_OK);
        assert(nr_bytes_eq(nr_buf_bytes(&one), nr_buf_bytes(&two)));
    }
    nr_buf_fini(&one);
    nr_buf_fini(&two);
}

static enum nr_err
take(void *ctx, const struct nr_json *value, struct nr_bytes text,
    struct nr_diag *d)
{
    const struct nr_json **expected = ctx;

    (void)d;
    assert(text.n == value->len);
    if (*expected) {
        assert((*expected)->at == value->at && (*expected)->len == value->len);
        assert((*expected)->type == value->type && (*expected)->n == value->n);
        *expected = (*expected)->next;
    }
    return NR_OK;
}

static void
streamed(struct nr_bytes in, enum nr_err want, const struct nr_json *tree)
{
    const struct nr_json *array = nr_json_get(tree, NR_STR("objects"));
    bool has = nr_json_is(array, NR_JSON_ARRAY), found = false;
    const struct nr_json *expected = has ? array->child : NULL;
    struct nr_json_stream_conf conf = {
        .name = NR_STR("objects"),
        .member_max = ROOM / 64,
        .envelope_max = ROOM / 64,
        .member = take,
        .ctx = &expected,
    };
    struct nr_json_stream *s = nr_json_stream_create(&conf);
    size_t chunk = 1 + in.n % 13;
    enum nr_err err = NR_OK;

    assert(s);
    for (size_t i = 0; i < in.n && !err; i += chunk)
        err = nr_json_stream_feed(s,
            nr_bytes_sub(in, i, i + chunk < in.n ? i + chunk : in.n), NULL);
    if (!err)
        err = nr_json_stream_end(s, NULL, &found, NULL);
    assert((err == NR_OK) == (want == NR_OK));
    if (!err)
        assert(found == has && expected == NULL);
    nr_json_stream_destroy(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nr_json *tree = NULL;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    struct nr_bytes in = { 0 };
    uint8_t *copy = malloc(size + !size);
    enum nr_err err;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    in = (struct nr_bytes){ copy, size };
    nr_arena_init(&a, ROOM);
    err = nr_json_parse(&a, in, &tree, &d);
    assert(err == NR_OK || (d.err == err && d.at <= size && d.what));
    if (err != NR_ENOMEM)
        streamed(in, err, tree);
    if (err == NR_OK) {
        bool bom = nr_bytes_starts(in, NR_BYTES("\xef\xbb\xbf"));

        assert(bom || nr_json_check(in, NULL) == NR_OK);
        round_trip(&a, tree);
    }
    nr_arena_fini(&a);
    free(copy);
    return 0;
}
