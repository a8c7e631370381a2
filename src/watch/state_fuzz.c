/* A state file that somebody else has written: refused, or files that are
 * sound, which, written and read again, are the same. */
#include "watch/engine.h"

#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>

#define OUT_MAX ((size_t)1 << 24)
#define SUM_LEN ((size_t)8)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
begin(struct nr_watch *w)
{
    *w = (struct nr_watch){ .conf.state = "fuzzed" };
    (void)pthread_mutex_init(&w->known_lock, NULL);
    nr_buf_init(&w->extra, NR_WATCH_EXTRA_MAX);
}

static void
end(struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_files; i++)
        nr_file_free(w->files[i]);
    free(w->files);
    nr_buf_fini(&w->extra);
    (void)pthread_mutex_destroy(&w->known_lock);
}

static void
check_files(const struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_files; i++) {
        const struct file *f = w->files[i];

        assert(f->path && f->path[0] && strlen(f->path) < NR_PATH_MAX);
        assert(f->name && f->name[0] && strlen(f->name) < NR_PATH_MAX);
        assert(f->mark.head_n <= NR_WATCH_HEAD_MAX && !f->mark.head);
        assert(f->mark.head_n <= f->read_at && f->read_at == f->at);
        assert(!f->cursor || strlen(f->cursor) < NR_WATCH_CURSOR_MAX);
    }
}

/* What stands in OUT is read and written again, and is the same. */
static void
check_again(struct nr_bytes out)
{
    struct nr_watch w;
    struct nr_buf again;

    begin(&w);
    nr_buf_init(&again, OUT_MAX);
    assert(nr_state_decode(&w, out, NULL) == NR_OK);
    assert(nr_state_encode(&w, &again) == NR_OK);
    assert(nr_bytes_eq(out, nr_buf_bytes(&again)));
    nr_buf_fini(&again);
    end(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_bytes body = { data, size < SUM_LEN ? 0 : size - SUM_LEN };
    struct nr_watch w;
    struct nr_buf in, out;

    begin(&w);
    nr_buf_init(&in, OUT_MAX);
    nr_buf_init(&out, OUT_MAX);
    /* no fuzzer guesses a checksum: it is made right */
    nr_buf_put(&in, body);
    nr_buf_put_le(&in, nr_xxh64(body, 0), SUM_LEN);
    if (nr_state_decode(&w, nr_buf_bytes(&in), NULL) == NR_OK) {
        check_files(&w);
        assert(nr_state_encode(&w, &out) == NR_OK);
        check_again(nr_buf_bytes(&out));
    }
    nr_buf_fini(&in);
    nr_buf_fini(&out);
    end(&w);
    return 0;
}
