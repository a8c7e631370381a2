/* Sealed files: pages, keys, the mark of a sealed archive. */
#include "archive/seal_in.h"

#include "base/arena.h"
#include "base/ct.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDIAN      0x0a0b0c0du
#define STRIDE      (SEAL_PAGE + SEAL_TAG)
#define KEY_HEAD    "noroshi-archive-key 1 "
#define MARKER_HEAD "noroshi-sealed-archive 1 "
#define TEXT_MAX    ((size_t)256) /* octets of key file and marker */
#define MEMORY      ((size_t)1 << 16)
#define NAME_ROOM   ((size_t)64)

_Static_assert(sizeof(((struct nr_archive_key *)NULL)->secret) ==
        NR_AEAD_KEY_LEN,
    "a key is a key");

static uint64_t
le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = n; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static void
put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        p[i] = (uint8_t)(v & 0xff);
}

/* --- keys --- */

static void
identify(struct nr_archive_key *k)
{
    uint8_t id[NR_AEAD_KEY_LEN];

    nr_subkey(k->secret, NR_BYTES("noroshi archive key id"), id);
    memcpy(k->id, id, sizeof(k->id));
}

static void
file_key(const struct nr_archive_key *k, const uint8_t id[SEAL_ID],
    uint8_t out[NR_AEAD_KEY_LEN])
{
    uint8_t context[32] = "noroshi archive\n";

    memcpy(context + 16, id, SEAL_ID);
    nr_subkey(k->secret, (struct nr_bytes){ context, sizeof(context) }, out);
}

enum nr_err
nr_archive_key_make(const char *path, const struct nr_env *env,
    struct nr_diag *d)
{
    uint8_t secret[NR_ARCHIVE_KEY_LEN];
    char text[TEXT_MAX], base64[NR_BASE64_MAX(sizeof(secret))];
    enum nr_err err = NR_OK;
    int fd, n;

    if (env->random(env->ctx, secret, sizeof(secret)) != NR_OK)
        return nr_fail_sys(d, "archive key: no randomness");
    nr_base64_print((struct nr_bytes){ secret, sizeof(secret) }, base64);
    n = snprintf(text, sizeof(text), KEY_HEAD "%s\n", base64);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        err = errno == EEXIST
            ? nr_fail_name(d, NR_EEXIST, "archive key: is there already", path)
            : nr_fail_file(d, "archive key: create", path);
    else
        err = nr_fd_write(fd,
            (struct nr_bytes){ (const uint8_t *)text, (size_t)n }, d);
    if (!err && fsync(fd) != 0)
        err = nr_fail_file(d, "archive key: write", path);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && err)
        (void)unlink(path);
    if (!err)
        err = nr_dir_sync_of(path, d);
    nr_wipe(secret, sizeof(secret));
    nr_wipe(text, sizeof(text));
    nr_wipe(base64, sizeof(base64));
    return err;
}

/* "HEAD TEXT LF" of file PATH: TEXT into OUT. */
static enum nr_err
read_text(const char *path, const char *head, char out[TEXT_MAX],
    struct nr_diag *d)
{
    struct nr_arena arena;
    struct nr_bytes in;
    size_t n = strlen(head);
    enum nr_err err;

    nr_arena_init(&arena, MEMORY);
    err = nr_file_read(&arena, path, TEXT_MAX - 1, &in, d);
    if (!err &&
        (in.n <= n || memcmp(in.p, head, n) != 0 || in.p[in.n - 1] != '\n' ||
            memchr(in.p, '\0', in.n)))
        err = nr_fail_name(d, NR_EFORMAT,
            "archive: no file of this kind and version", path);
    if (!err) {
        memcpy(out, in.p + n, in.n - n - 1);
        out[in.n - n - 1] = '\0';
        nr_wipe((void *)(uintptr_t)in.p, in.n);
    }
    nr_arena_fini(&arena);
    return err;
}

static enum nr_err
read_key(const char *path, const struct nr_env *env, struct nr_archive_key *out,
    struct nr_diag *d)
{
    char text[TEXT_MAX];
    struct stat st;
    size_t n = 0;
    enum nr_err err;

    err = nr_crypto_init(d);
    if (err)
        return err;
    if (stat(path, &st) != 0)
        return errno == ENOENT
            ? nr_fail_name(d, NR_ENOTFOUND,
                  "archive: is sealed, and its key is not here", path)
            : nr_fail_file(d, "archive key: read", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return nr_fail_name(d, NR_EDENIED,
            "archive key: others may read it; chmod 600", path);
    err = read_text(path, KEY_HEAD, text, d);
    if (!err &&
        (!nr_base64_parse(nr_str_of(text), out->secret, sizeof(out->secret),
             &n) ||
            n != sizeof(out->secret)))
        err = nr_fail_name(d, NR_EFORMAT, "archive key: is none", path);
    nr_wipe(text, sizeof(text));
    out->env = env;
    if (!err)
        identify(out);
    return err;
}

enum nr_err
seal_marker(const char *dir, bool *sealed, uint8_t id[NR_ARCHIVE_KEY_ID_LEN],
    struct nr_diag *d)
{
    char path[NR_PATH_MAX], text[TEXT_MAX];
    struct stat st;
    enum nr_err err = nr_path_join(path, dir, SEAL_FILE, d);

    *sealed = false;
    if (err)
        return err;
    if (stat(path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR
            ? NR_OK
            : nr_fail_file(d, "archive: cannot be opened", path);
    err = read_text(path, MARKER_HEAD, text, d);
    if (err)
        return err;
    if (strlen(text) != 2 * NR_ARCHIVE_KEY_ID_LEN ||
        !nr_hex_parse(nr_bytes_of(nr_str_of(text)), id, NR_ARCHIVE_KEY_ID_LEN))
        err = nr_fail_name(d, NR_EFORMAT, "archive: its seal is not sound",
            path);
    *sealed = err == NR_OK;
    return err;
}

enum nr_err
nr_archive_key_for(const char *dir, const char *path, const struct nr_env *env,
    struct nr_archive_key *out, bool *sealed, struct nr_diag *d)
{
    uint8_t id[NR_ARCHIVE_KEY_ID_LEN];
    enum nr_err err = seal_marker(dir, sealed, id, d);

    if (err || !*sealed)
        return err;
    err = read_key(path, env, out, d);
    if (!err && memcmp(id, out->id, sizeof(id)) != 0)
        err = nr_fail_name(d, NR_EDENIED,
            "archive: is sealed with another key than this", path);
    if (err)
        nr_wipe(out, sizeof(*out));
    return err;
}

/* NR_EEXIST: DIR holds segments or runs. */
static enum nr_err
is_empty(const char *dir, struct nr_diag *d)
{
    struct nr_arena arena;
    struct nr_names names = { 0 };
    enum nr_err err;

    nr_arena_init(&arena, (size_t)1 << 28);
    err = nr_dir_list(&arena, dir, (size_t)1 << 20, &names, d);
    for (size_t i = 0; !err && i < names.n; i++) {
        size_t n = strlen(names.v[i]);

        if (n == 20 &&
            (strcmp(names.v[i] + 16, ".seg") == 0 ||
                strcmp(names.v[i] + 16, ".run") == 0))
            err = nr_fail_name(d, NR_EEXIST,
                "archive: holds logs already; only an empty one can be sealed: "
                "make a new one and add the logs to it",
                dir);
    }
    nr_arena_fini(&arena);
    return err;
}

enum nr_err
nr_archive_seal(const char *dir, const char *path, const struct nr_env *env,
    struct nr_diag *d)
{
    struct nr_archive_key key = { 0 };
    char file[NR_PATH_MAX], hex[2 * NR_ARCHIVE_KEY_ID_LEN + 1], text[TEXT_MAX];
    bool sealed = false;
    int n;
    enum nr_err err = nr_dir_make(dir, 0700, d);

    if (!err)
        err = seal_marker(dir, &sealed, key.id, d);
    if (!err && sealed)
        err = nr_fail_name(d, NR_EEXIST, "archive: is sealed already", dir);
    if (!err)
        err = is_empty(dir, d);
    if (!err && access(path, F_OK) != 0)
        err = nr_archive_key_make(path, env, d);
    if (!err)
        err = read_key(path, env, &key, d);
    if (!err)
        err = nr_path_join(file, dir, SEAL_FILE, d);
    if (!err) {
        nr_hex_print((struct nr_bytes){ key.id, sizeof(key.id) }, hex);
        n = snprintf(text, sizeof(text), MARKER_HEAD "%.16s\n", hex);
        err = nr_file_replace(file,
            (struct nr_bytes){ (const uint8_t *)text, (size_t)n }, 0600, d);
    }
    nr_wipe(&key, sizeof(key));
    return err;
}

/* --- pages --- */

static void
nonce_of(uint64_t page, bool last, uint8_t out[NR_AEAD_NONCE_LEN])
{
    memset(out, 0, NR_AEAD_NONCE_LEN);
    put_le(out, page, 8);
    out[8] = last;
}

struct seal_view {
    struct nr_bytes file;
    uint8_t *plain; /* owned: reserved, filled page by page */
    uint64_t n, pages;
    bool mends;       /* what is left of a file that was cut is wanted */
    uint8_t *page_ok; /* an octet a page; written under LOCK */
    uint8_t key[NR_AEAD_KEY_LEN];
    char name[NAME_ROOM];
    pthread_mutex_t lock;
};

bool
seal_is(struct nr_bytes file)
{
    return file.n >= SEAL_HEADER && memcmp(file.p, SEAL_MAGIC, 8) == 0;
}

static enum nr_err
damaged(const struct seal_view *v, struct nr_diag *d, uint64_t at,
    const char *what)
{
    enum nr_err err = nr_fail(d, NR_EDAMAGED, (size_t)at, what);

    nr_diag_add_name(d, v->name);
    return err;
}

/* Page PAGE, sealed as the LAST one or not, into OUT: its octets. */
static bool
open_as(const struct seal_view *v, uint64_t page, bool last, uint8_t *out,
    size_t *n)
{
    const uint8_t *p = v->file.p + SEAL_HEADER + page * STRIDE;
    uint8_t nonce[NR_AEAD_NONCE_LEN];

    *n = page + 1 == v->pages ? (size_t)(v->n - page * SEAL_PAGE) : SEAL_PAGE;
    nonce_of(page, last, nonce);
    return nr_aead_open(v->key, nonce, (struct nr_bytes){ p, *n }, p + *n, out);
}

/* Of a file that was cut, another page is the last one now. */
static bool
open_page(const struct seal_view *v, uint64_t page, uint8_t *out, size_t *n)
{
    bool last = page + 1 == v->pages;

    return open_as(v, page, last, out, n) ||
        (v->mends && last && open_as(v, page, false, out, n));
}

/* The key of the file: its number stands in the header twice. */
static void
choose_key(struct seal_view *v, const struct nr_archive_key *key)
{
    uint8_t scratch[SEAL_PAGE];
    size_t n;

    for (size_t i = 0; i < 2; i++) {
        file_key(key, v->file.p + 24 + i * SEAL_ID, v->key);
        if (i == 1 || open_page(v, 0, scratch, &n) ||
            (v->pages > 1 && open_page(v, v->pages - 1, scratch, &n)))
            break;
    }
    nr_wipe(scratch, sizeof(scratch));
}

/* How many pages there are, and octets of plain text. */
static bool
measure(struct seal_view *v)
{
    uint64_t body = v->file.n - SEAL_HEADER;
    uint64_t rest = body % STRIDE;

    v->pages = body / STRIDE + (rest >= SEAL_TAG);
    v->n = body / STRIDE * SEAL_PAGE + (rest >= SEAL_TAG ? rest - SEAL_TAG : 0);
    return v->pages > 0 && (v->mends || rest == 0 || rest >= SEAL_TAG);
}

static enum nr_err
check_head(const struct seal_view *v, const struct nr_archive_key *key,
    struct nr_diag *d)
{
    const uint8_t *p = v->file.p;

    if (!seal_is(v->file) ||
        nr_xxh64((struct nr_bytes){ p, 56 }, 0) != le(p + 56, 8))
        return damaged(v, d, 0, "sealed file: its header is not sound");
    if (le(p + 8, 4) != ENDIAN || le(p + 12, 4) != SEAL_VERSION)
        return nr_fail_name(d, NR_EFORMAT,
            "sealed file: of another version of noroshi", v->name);
    if (memcmp(p + 16, key->id, sizeof(key->id)) != 0)
        return damaged(v, d, 16, "sealed file: is under another key");
    return NR_OK;
}

enum nr_err
seal_view_open(const struct nr_archive_key *key, struct nr_bytes file,
    const char *name, bool mends, struct seal_view **out, struct nr_diag *d)
{
    struct seal_view *v;
    enum nr_err err = NR_OK;
    void *p;

    if (file.n < SEAL_HEADER + SEAL_TAG)
        return nr_fail_name(d, NR_EDAMAGED, "sealed file: cut short", name);
    v = calloc(1, sizeof(*v));
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "sealed file: no memory");
    if (pthread_mutex_init(&v->lock, NULL) != 0) {
        free(v);
        return nr_fail(d, NR_ENOMEM, 0, "sealed file: no memory");
    }
    v->file = file;
    v->mends = mends;
    (void)snprintf(v->name, sizeof(v->name), "%s", name);
    if (!measure(v))
        err = damaged(v, d, file.n, "sealed file: cut short");
    if (!err && !mends)
        err = check_head(v, key, d);
    if (!err) {
        v->page_ok = calloc(v->pages + 1, 1);
        p = mmap(NULL, v->n + 1, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        v->plain = p == MAP_FAILED ? NULL : p;
        if (!v->page_ok || !v->plain)
            err = nr_fail(d, NR_ENOMEM, 0, "sealed file: no memory");
    }
    if (err) {
        seal_view_close(v);
        return err;
    }
    choose_key(v, key);
    *out = v;
    return NR_OK;
}

void
seal_view_close(struct seal_view *v)
{
    if (!v)
        return;
    if (v->plain)
        (void)munmap(v->plain, v->n + 1);
    free(v->page_ok);
    (void)pthread_mutex_destroy(&v->lock);
    nr_wipe(v->key, sizeof(v->key));
    free(v);
}

struct nr_bytes
seal_plain(const struct seal_view *v)
{
    return (struct nr_bytes){ v->plain, v->n };
}

uint64_t
seal_pages(const struct seal_view *v)
{
    return v->pages;
}

bool
seal_page(struct seal_view *v, uint64_t page)
{
    bool ok;
    size_t n;

    (void)pthread_mutex_lock(&v->lock);
    ok = v->page_ok[page] != 0;
    if (!ok) {
        ok = open_page(v, page, v->plain + page * SEAL_PAGE, &n);
        if (ok)
            __atomic_store_n(&v->page_ok[page], 1, __ATOMIC_RELEASE);
        else
            memset(v->plain + page * SEAL_PAGE, 0, n);
    }
    (void)pthread_mutex_unlock(&v->lock);
    return ok;
}

enum nr_err
seal_need(struct seal_view *v, uint64_t at, uint64_t n, struct nr_diag *d)
{
    uint64_t last = n ? (at + n - 1) / SEAL_PAGE : 0;

    for (uint64_t page = at / SEAL_PAGE; n && page <= last; page++)
        if (!__atomic_load_n(&v->page_ok[page], __ATOMIC_ACQUIRE) &&
            !seal_page(v, page))
            return damaged(v, d, page * SEAL_PAGE,
                "sealed file: a page does not open");
    return NR_OK;
}

enum nr_err
seal_read(const struct seal_view *v, uint64_t at, uint64_t n, uint8_t *out,
    struct nr_diag *d)
{
    uint8_t scratch[SEAL_PAGE];
    enum nr_err err = NR_OK;

    while (!err && n > 0) {
        uint64_t page = at / SEAL_PAGE, from = at % SEAL_PAGE, take;
        size_t here = 0;

        if (!open_page(v, page, scratch, &here) || from >= here) {
            err = damaged(v, d, page * SEAL_PAGE,
                "sealed file: a page does not open");
            break;
        }
        take = nr_min(here - from, n);
        memcpy(out, scratch + from, take);
        out += take;
        at += take;
        n -= take;
    }
    nr_wipe(scratch, sizeof(scratch));
    return err;
}

/* --- writing --- */

struct seal_writer {
    int fd;
    bool plain;
    uint8_t key[NR_AEAD_KEY_LEN];
    uint64_t page;
    size_t n; /* octets of BUF */
    uint8_t buf[SEAL_PAGE], out[STRIDE];
};

enum nr_err
seal_writer_open(const struct nr_archive_key *key, int fd,
    struct seal_writer **out, struct nr_diag *d)
{
    struct seal_writer *w = calloc(1, sizeof(*w));
    uint8_t head[SEAL_HEADER] = { 0 };
    enum nr_err err = NR_OK;

    if (!w)
        return nr_fail(d, NR_ENOMEM, 0, "sealed file: no memory");
    w->fd = fd;
    w->plain = key == NULL;
    if (key) {
        memcpy(head, SEAL_MAGIC, 8);
        put_le(head + 8, ENDIAN, 4);
        put_le(head + 12, SEAL_VERSION, 4);
        memcpy(head + 16, key->id, sizeof(key->id));
        if (key->env->random(key->env->ctx, head + 24, SEAL_ID) != NR_OK)
            err = nr_fail_sys(d, "sealed file: no randomness");
        memcpy(head + 24 + SEAL_ID, head + 24, SEAL_ID);
        put_le(head + 56, nr_xxh64((struct nr_bytes){ head, 56 }, 0), 8);
        file_key(key, head + 24, w->key);
        if (!err)
            err = nr_fd_write(fd, (struct nr_bytes){ head, sizeof(head) }, d);
    }
    if (err)
        seal_writer_close(w);
    else
        *out = w;
    return err;
}

static enum nr_err
put_page(struct seal_writer *w, bool last, struct nr_diag *d)
{
    uint8_t nonce[NR_AEAD_NONCE_LEN];
    size_t n = w->n;

    nonce_of(w->page++, last, nonce);
    nr_aead_seal(w->key, nonce, (struct nr_bytes){ w->buf, n }, w->out,
        w->out + n);
    w->n = 0;
    return nr_fd_write(w->fd, (struct nr_bytes){ w->out, n + SEAL_TAG }, d);
}

enum nr_err
seal_writer_put(struct seal_writer *w, struct nr_bytes in, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (w->plain)
        return nr_fd_write(w->fd, in, d);
    while (!err && in.n > 0) {
        size_t take;

        if (w->n == SEAL_PAGE) /* there is more: it is not the last */
            err = put_page(w, false, d);
        take = nr_min(in.n, SEAL_PAGE - w->n);
        memcpy(w->buf + w->n, in.p, take);
        w->n += take;
        in = nr_bytes_sub(in, take, in.n);
    }
    return err;
}

enum nr_err
seal_writer_end(struct seal_writer *w, struct nr_diag *d)
{
    return w->plain ? NR_OK : put_page(w, true, d);
}

void
seal_writer_close(struct seal_writer *w)
{
    if (!w)
        return;
    nr_wipe(w, sizeof(*w));
    free(w);
}
