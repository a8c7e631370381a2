/* An open watchlist: checked whole, then read without further checks. */
#include "watchlist/watchlist.h"

#include "base/date.h"
#include "base/file.h"
#include "watchlist/format.h"
#include "watchlist/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool
nr_watchlist_is_one(struct nr_bytes head)
{
    return nr_bytes_starts(head, NR_BYTES("NRWL"));
}

/* --- checking --- */

/* One section: inside the file, aligned. */
static bool
section_fits(const struct nr_wl_section *s, size_t each, size_t size)
{
    return s->at >= sizeof(struct nr_wl_head) && s->at % 8 == 0 &&
        s->at <= size && s->n <= (size - s->at) / each;
}

static bool
is_power_of_2(uint64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static enum nr_err
check_head(struct nr_bytes in, struct nr_diag *d)
{
    struct nr_wl_head h;

    if (!nr_watchlist_is_one(in))
        return nr_fail(d, NR_EFORMAT, 0, "watchlist: not a compiled list");
    if (in.n < sizeof(h))
        return nr_fail(d, NR_ETRUNC, in.n, "watchlist: ends in its head");
    memcpy(&h, in.p, sizeof(h));
    if (h.endian != NR_WL_ENDIAN)
        return nr_fail(d, NR_EFORMAT, 8,
            "watchlist: compiled on a machine of another byte order; compile "
            "it here");
    if (h.version != NR_WL_VERSION || h.head_n != sizeof(h))
        return nr_fail(d, NR_EFORMAT, 4,
            "watchlist: of another version; compile it again");
    if (h.size > in.n)
        return nr_fail(d, NR_ETRUNC, in.n, "watchlist: shorter than written");
    if (h.size != in.n)
        return nr_fail(d, NR_EDAMAGED, 16, "watchlist: longer than written");
    if (nr_wl_checksum(in) != h.checksum)
        return nr_fail(d, NR_EDAMAGED, 24,
            "watchlist: checksum does not hold; compile it again");
    if (!section_fits(&h.entries, sizeof(struct nr_wl_entry), in.n) ||
        !section_fits(&h.claims, sizeof(struct nr_wl_claim), in.n) ||
        !section_fits(&h.slots, sizeof(struct nr_wl_slot), in.n) ||
        !section_fits(&h.filter, 8, in.n) || !section_fits(&h.text, 1, in.n) ||
        h.entries.n > NR_WATCHLIST_MAX || !is_power_of_2(h.slots.n) ||
        h.slots.n < 2 * h.entries.n || !is_power_of_2(h.filter.n))
        return nr_fail(d, NR_EDAMAGED, 48, "watchlist: sections do not fit");
    return NR_OK;
}

/* A span of the text section; UTF-8 where TEXT. */
static bool
span_fits(const struct nr_watchlist *w, uint64_t at, uint64_t n, bool text)
{
    struct nr_bytes b;

    if (at > w->text.n || n > w->text.n - at)
        return false;
    b = nr_bytes_sub(w->text, at, at + n);
    return !text || nr_utf8_valid_len(b) == b.n;
}

static bool
entry_fits(const struct nr_watchlist *w, const struct nr_wl_entry *e)
{
    return span_fits(w, e->key_at, e->key_n, false) &&
        span_fits(w, e->value_at, e->value_n, true) &&
        span_fits(w, e->warn_at, e->warn_n, true) && e->claim_n > 0 &&
        e->claim_at <= w->head->claims.n &&
        e->claim_n <= w->head->claims.n - e->claim_at && e->tlp <= 5 &&
        e->pap <= 4 && e->role <= NR_ROLE_CONTEXTUAL &&
        nr_key_is_sound(e->kind,
            nr_bytes_sub(w->text, e->key_at, e->key_at + e->key_n));
}

/* What matching asks first: which kinds and prefix lengths are there. */
static void
note_kind(struct nr_watchlist *w, const struct nr_wl_entry *e)
{
    const uint8_t *key = w->text.p + e->key_at;

    w->kinds |= 1u << e->kind;
    w->unmatched += !nr_kind_is_hot((enum nr_kind)e->kind);
    if (e->kind == NR_KIND_DOMAIN)
        w->has_idn = w->has_idn || memmem(key, e->key_n, "xn--", 4) != NULL;
    if (e->kind == NR_KIND_CIDR4)
        w->has_len4[key[4]] = true;
    if (e->kind == NR_KIND_CIDR6)
        w->has_len6[key[16]] = true;
}

static enum nr_err
check_body(struct nr_watchlist *w, struct nr_diag *d)
{
    size_t used = 0;

    for (size_t i = 0; i < w->head->entries.n; i++) {
        if (!entry_fits(w, &w->entries[i]))
            return nr_fail(d, NR_EDAMAGED,
                w->head->entries.at + i * sizeof(*w->entries),
                "watchlist: an entry does not fit");
        note_kind(w, &w->entries[i]);
    }
    for (size_t i = 0; i < w->head->claims.n; i++) {
        const struct nr_wl_claim *c = &w->claims[i];

        if (!span_fits(w, c->id_at, c->id_n, true) ||
            !span_fits(w, c->source_at, c->source_n, true) ||
            !span_fits(w, c->reference_at, c->reference_n, true))
            return nr_fail(d, NR_EDAMAGED, w->head->claims.at + i * sizeof(*c),
                "watchlist: a claim does not fit");
    }
    for (size_t i = 0; i < w->head->slots.n; i++) {
        used += w->slots[i].index > 0;
        if (w->slots[i].index > w->head->entries.n)
            return nr_fail(d, NR_EDAMAGED,
                w->head->slots.at + i * sizeof(*w->slots),
                "watchlist: a slot points nowhere");
    }
    /* an empty slot must remain, or probing would not end */
    if (used != w->head->entries.n)
        return nr_fail(d, NR_EDAMAGED, w->head->slots.at,
            "watchlist: as many slots as entries wanted");
    return NR_OK;
}

/* W->file is set; on failure W is closed. */
static enum nr_err
adopt(struct nr_watchlist *w, struct nr_watchlist **out, struct nr_diag *d)
{
    enum nr_err err = check_head(w->file, d);

    if (err == NR_OK) {
        const void *p = w->file.p;

        w->head = p;
        p = w->file.p + w->head->entries.at;
        w->entries = p;
        p = w->file.p + w->head->claims.at;
        w->claims = p;
        p = w->file.p + w->head->slots.at;
        w->slots = p;
        p = w->file.p + w->head->filter.at;
        w->filter = p;
        w->text = (struct nr_bytes){ w->file.p + w->head->text.at,
            w->head->text.n };
        err = check_body(w, d);
    }
    if (err == NR_OK)
        *out = w;
    else
        nr_watchlist_close(w);
    return err;
}

/* --- opening --- */

enum nr_err
nr_watchlist_decode(struct nr_bytes in, struct nr_watchlist **out,
    struct nr_diag *d)
{
    struct nr_watchlist *w = calloc(1, sizeof(*w));
    uint8_t *copy = malloc(in.n ? in.n : 1);

    if (!w || !copy) {
        free(w);
        free(copy);
        return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
    }
    if (in.n > 0)
        memcpy(copy, in.p, in.n);
    w->heap = copy;
    w->file = (struct nr_bytes){ copy, in.n };
    return adopt(w, out, d);
}

static enum nr_err
map(struct nr_watchlist *w, int fd, const char *path, struct nr_diag *d)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0)
        return nr_fail_file(d, "watchlist: stat", path);
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return nr_fail_name(d, NR_EFORMAT, "watchlist: not a compiled list",
            path);
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return nr_fail_file(d, "watchlist: map", path);
    w->mapped = true;
    w->file = (struct nr_bytes){ p, (size_t)st.st_size };
    return NR_OK;
}

enum nr_err
nr_watchlist_open(const char *path, struct nr_watchlist **out,
    struct nr_diag *d)
{
    struct nr_watchlist *w = calloc(1, sizeof(*w));
    enum nr_err err;
    int fd;

    if (!w)
        return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err = errno == ENOENT
            ? nr_fail_name(d, NR_ENOTFOUND, "watchlist: no such file", path)
            : nr_fail_file(d, "watchlist: open", path);
        nr_watchlist_close(w);
        return err;
    }
    err = map(w, fd, path, d);
    (void)close(fd);
    if (err != NR_OK) {
        nr_watchlist_close(w);
        return err;
    }
    err = adopt(w, out, d);
    if (err != NR_OK)
        nr_diag_add_name(d, path);
    return err;
}

void
nr_watchlist_close(struct nr_watchlist *w)
{
    if (!w)
        return;
    if (w->mapped) {
        union {
            const void *in;
            void *out;
        } p = { .in = w->file.p };

        (void)munmap(p.out, w->file.n);
    }
    free(w->heap);
    free(w);
}

/* --- reading --- */

size_t
nr_watchlist_count(const struct nr_watchlist *w)
{
    return w->head->entries.n;
}

int64_t
nr_watchlist_created_s(const struct nr_watchlist *w)
{
    return w->head->created_s;
}

uint64_t
nr_watchlist_version(const struct nr_watchlist *w)
{
    return w->head->checksum;
}

unsigned
nr_watchlist_scan_flags(const struct nr_watchlist *w)
{
    return nr_scan_flags_of(w->kinds, w->has_idn);
}

size_t
nr_watchlist_unmatched_count(const struct nr_watchlist *w)
{
    return w->unmatched;
}

/* Checked to be UTF-8 when opened. */
static struct nr_str
text(const struct nr_watchlist *w, uint64_t at, uint32_t n)
{
    return (struct nr_str){ (const char *)w->text.p + at, n };
}

struct nr_claim
nr_watchlist_claim(const struct nr_watchlist *w, size_t i, size_t k)
{
    const struct nr_wl_claim *c = &w->claims[w->entries[i].claim_at + k];

    return (struct nr_claim){
        .id = text(w, c->id_at, c->id_n),
        .source = text(w, c->source_at, c->source_n),
        .reference = text(w, c->reference_at, c->reference_n),
        .date_s = c->date_s,
    };
}

struct nr_indicator
nr_watchlist_get(const struct nr_watchlist *w, size_t i)
{
    const struct nr_wl_entry *e = &w->entries[i];

    return (struct nr_indicator){
        .kind = (enum nr_kind)e->kind,
        .key = nr_bytes_sub(w->text, e->key_at, e->key_at + e->key_n),
        .value = text(w, e->value_at, e->value_n),
        .said = nr_watchlist_claim(w, i, 0),
        .n_claims = e->claim_n,
        .valid_from_s = e->valid_from_s,
        .valid_until_s = e->valid_until_s,
        .first_seen_s = e->first_seen_s,
        .last_seen_s = e->last_seen_s,
        .tlp = e->tlp,
        .pap = e->pap,
        .role = e->role,
        .warn = text(w, e->warn_at, e->warn_n),
    };
}

bool
nr_watchlist_find(const struct nr_watchlist *w, enum nr_kind kind,
    struct nr_bytes key, size_t *i)
{
    uint64_t h = nr_wl_hash(w->head->seed, (unsigned)kind, key);
    uint64_t bits = nr_wl_filter_bits(h), mask = w->head->slots.n - 1;

    if ((w->filter[h & (w->head->filter.n - 1)] & bits) != bits)
        return false;
    for (uint64_t s = h & mask;; s = (s + 1) & mask) {
        const struct nr_wl_entry *e;

        if (w->slots[s].index == 0)
            return false;
        if (w->slots[s].tag != (uint32_t)(h >> 32))
            continue;
        e = &w->entries[w->slots[s].index - 1];
        if (e->kind == (unsigned)kind && e->key_n == key.n &&
            memcmp(w->text.p + e->key_at, key.p, key.n) == 0) {
            *i = w->slots[s].index - 1;
            return true;
        }
    }
}

/* --- indicators --- */

static const char *const roles[] = { "unknown", "c2", "delivery", "exfil",
    "malware", "phishing-sender", "credential-use", "scanner", "victim-asset",
    "contextual" };

const char *
nr_role_name(unsigned role)
{
    return roles[role < sizeof(roles) / sizeof(*roles) ? role : 0];
}

bool
nr_role_from_name(struct nr_str name, enum nr_role *role)
{
    for (unsigned i = 0; i < sizeof(roles) / sizeof(*roles); i++)
        if (nr_str_eq(name, nr_str_of(roles[i]))) {
            *role = (enum nr_role)i;
            return true;
        }
    return false;
}

struct nr_indicator
nr_indicator_of(enum nr_kind kind, struct nr_bytes key)
{
    return (struct nr_indicator){
        .kind = kind,
        .key = key,
        .said.date_s = NR_TIME_NONE,
        .valid_from_s = NR_TIME_NONE,
        .valid_until_s = NR_TIME_NONE,
        .first_seen_s = NR_TIME_NONE,
        .last_seen_s = NR_TIME_NONE,
    };
}

void
nr_indicator_window(const struct nr_indicator *i, int64_t now_s,
    int64_t *from_s, int64_t *to_s)
{
    bool seen = i->first_seen_s != NR_TIME_NONE ||
        i->last_seen_s != NR_TIME_NONE;
    int64_t from = seen ? i->first_seen_s : i->valid_from_s;
    int64_t to = seen ? i->last_seen_s : i->valid_until_s;

    if (to == NR_TIME_NONE)
        to = now_s > from ? now_s : from;
    if (from == NR_TIME_NONE || from > to)
        from = to;
    *from_s = from;
    *to_s = to;
}
