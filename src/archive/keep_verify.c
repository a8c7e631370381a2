/* Every octet of a segment, and which class of octets is damaged. */
#include "archive/keep_map.h"
#include "archive/runs.h"
#include "archive/store.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE         (SEG_SECTIONS * SEG_ROW)
#define TAIL          (TABLE + SEG_TRAILER)
#define LIST_MEMORY   ((size_t)1 << 28)
#define FILES_MAX     (NR_ARCHIVE_SEGMENTS_MAX * 3)
#define NAME_OCTETS   ((size_t)20)
#define FILE_ROW      ((size_t)102) /* of the list of files, without its name */
#define SECTIONS_TEXT ((size_t)160)

static const char *const section_names[SEG_SECTIONS] = { "info", "files",
    "blocks", "presence", "dir4", "dir6", "dirN", "entries", "rhythm",
    "replaces" };

static uint64_t
le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = n; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static void
put(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        p[i] = (uint8_t)(v & 0xff);
}

static uint64_t
sum_of(const struct keep_map *m, uint64_t from, uint64_t to)
{
    return nr_xxh64((struct nr_bytes){ m->p + from, to - from }, 0);
}

bool
keep_name(const char *name, uint64_t *seq)
{
    uint64_t v = 0;

    if (strlen(name) != NAME_OCTETS || strcmp(name + 16, ".seg") != 0)
        return false;
    for (size_t i = 0; i < 16; i++) {
        uint8_t c = (uint8_t)name[i];

        if (!nr_is_hex(c) || nr_lower(c) != c)
            return false;
        v = v << 4 | nr_hex_value(c);
    }
    *seq = v;
    return true;
}

void
keep_map_say(struct keep_map *m, struct nr_damage x)
{
    x.file = m->name;
    if (!x.sections)
        x.sections = "";
    m->damages++;
    if (m->say && m->say->damage)
        m->say->damage(m->say->ctx, &x);
}

static void
bad(struct keep_map *m, const char *part, uint64_t at, uint64_t octets,
    const char *rule)
{
    keep_map_say(m,
        (struct nr_damage){ .part = part,
            .at = at,
            .octets = octets,
            .rule = rule });
}

static void
check_header(struct keep_map *m)
{
    uint8_t *p = m->p;
    bool sum = le(p + 24, 8) == sum_of(m, 0, 24);

    if (sum && memcmp(p, SEG_MAGIC, 8) == 0 && le(p + 8, 4) == SEG_ENDIAN &&
        le(p + 12, 4) != SEG_VERSION) {
        m->other_version = true;
        bad(m, "header", 0, SEG_HEADER, "of another version of noroshi");
        return;
    }
    if (sum && memcmp(p, SEG_MAGIC, 8) == 0 && le(p + 8, 4) == SEG_ENDIAN &&
        le(p + 16, 8) == m->seq)
        return;
    bad(m, "header", 0, SEG_HEADER,
        sum ? "is not that of a segment of this name" : "checksum");
    memcpy(p, SEG_MAGIC, 8);
    put(p + 8, SEG_ENDIAN, 4);
    put(p + 12, SEG_VERSION, 4);
    put(p + 16, m->seq, 8);
    put(p + 24, sum_of(m, 0, 24), 8);
}

/* Pages of [INDEX_AT, SUMS_AT) have their sums right before the table. */
static bool
is_geometry(const struct keep_map *m, uint64_t index_at, uint64_t sums_at)
{
    uint64_t table = m->n - TAIL, pages;

    if (index_at < SEG_HEADER || sums_at < index_at || sums_at > table)
        return false;
    pages = (sums_at - index_at + SEG_PAGE - 1) / SEG_PAGE;
    return (table - sums_at) == pages * 8;
}

static bool
is_trailer(const struct keep_map *m)
{
    const uint8_t *t = m->p + m->n - SEG_TRAILER;

    return memcmp(t, SEG_MAGIC_END, 8) == 0 && le(t + 8, 4) == SEG_ENDIAN &&
        le(t + 12, 4) == SEG_VERSION && le(t + 32, 8) == m->n - TAIL &&
        le(t + 40, 8) == SEG_SECTIONS && le(t + 48, 8) == m->n &&
        is_geometry(m, le(t + 16, 8), le(t + 24, 8));
}

/* Rows of the list of files, by walking it; 0: it does not end where it
 * should. */
static uint64_t
count_files(const struct keep_map *m, uint64_t at, uint64_t octets)
{
    uint64_t n = 0, end = at + octets;

    while (at < end && end - at >= FILE_ROW) {
        at += FILE_ROW + le(m->p + at + FILE_ROW - 2, 2);
        n++;
    }
    return at == end ? n : 0;
}

static const uint8_t *
row_at(const struct keep_map *m, unsigned i)
{
    return m->p + m->n - TAIL + i * SEG_ROW;
}

static bool
is_table(const struct keep_map *m)
{
    uint64_t at = le(row_at(m, 0) + 8, 8);

    for (unsigned i = 0; i < SEG_SECTIONS; i++) {
        const uint8_t *r = row_at(m, i);
        uint64_t octets = le(r + 16, 8), e = seg_element(i);

        if (le(r, 8) != i || le(r + 8, 8) != at || at > m->n ||
            octets > m->n - at ||
            (e && (octets % e != 0 || le(r + 24, 8) != octets / e)) ||
            (!e && le(r + 24, 8) > octets))
            return false;
        at += octets;
    }
    return is_geometry(m, le(row_at(m, 0) + 8, 8), at);
}

/* One damaged row among sound ones is told by its neighbours. */
static bool
mend_table(struct keep_map *m)
{
    const uint8_t *t = m->p + m->n - SEG_TRAILER;
    uint64_t at[SEG_SECTIONS + 1];

    at[0] = le(t + 16, 8);
    at[SEG_SECTIONS] = le(t + 24, 8);
    for (unsigned i = 1; i < SEG_SECTIONS; i++) {
        uint64_t own = le(row_at(m, i) + 8, 8);
        uint64_t sum = at[i - 1] + le(row_at(m, i - 1) + 16, 8);
        uint64_t next = i + 1 < SEG_SECTIONS ? le(row_at(m, i + 1) + 8, 8)
                                             : at[SEG_SECTIONS];
        bool fits = own + le(row_at(m, i) + 16, 8) == next;

        at[i] = own == sum || fits ? own : sum;
    }
    for (unsigned i = 0; i < SEG_SECTIONS; i++) {
        uint8_t *r = m->p + m->n - TAIL + i * SEG_ROW;
        uint64_t octets = at[i + 1] - at[i], e = seg_element(i);

        if (at[i + 1] < at[i] || at[i + 1] > m->n)
            return false;
        put(r, i, 8);
        put(r + 8, at[i], 8);
        put(r + 16, octets, 8);
        if (e)
            put(r + 24, octets / e, 8);
        else if (i == SEG_SEC_FILES || le(r + 24, 8) > octets)
            put(r + 24, i == SEG_SEC_FILES ? count_files(m, at[i], octets) : 0,
                8);
    }
    return is_table(m);
}

static void
mend_trailer(struct keep_map *m)
{
    uint8_t *t = m->p + m->n - SEG_TRAILER;
    uint64_t index_at = le(row_at(m, 0) + 8, 8);
    const uint8_t *last = row_at(m, SEG_SECTIONS - 1);

    memcpy(t, SEG_MAGIC_END, 8);
    put(t + 8, SEG_ENDIAN, 4);
    put(t + 12, SEG_VERSION, 4);
    put(t + 16, index_at, 8);
    put(t + 24, le(last + 8, 8) + le(last + 16, 8), 8);
    put(t + 32, m->n - TAIL, 8);
    put(t + 40, SEG_SECTIONS, 8);
    put(t + 48, m->n, 8);
}

static void
check_tail(struct keep_map *m)
{
    bool trailer = is_trailer(m), table = is_table(m);

    if (!trailer && !table) {
        bad(m, "file", m->n, 0,
            "its end is none of a segment: cut short, or table and trailer "
            "are both damaged");
        return;
    }
    if (!table)
        bad(m, "table", m->n - TAIL, TABLE,
            "sections do not follow each other");
    if (!trailer)
        bad(m, "trailer", m->n - SEG_TRAILER, SEG_TRAILER,
            "does not fit the file and its table");
    if (!table && !mend_table(m))
        return;
    if (!trailer)
        mend_trailer(m);
    m->index_at = le(m->p + m->n - SEG_TRAILER + 16, 8);
    m->sums_at = le(m->p + m->n - SEG_TRAILER + 24, 8);
    for (unsigned i = 0; i < SEG_SECTIONS; i++) {
        m->sec[i].at = le(row_at(m, i) + 8, 8);
        m->sec[i].octets = le(row_at(m, i) + 16, 8);
        m->sec[i].count = le(row_at(m, i) + 24, 8);
    }
    m->mapped = true;
}

static void
say_page(struct keep_map *m, uint64_t from, uint64_t to)
{
    char text[SECTIONS_TEXT];
    size_t n = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < SEG_SECTIONS; i++) {
        uint64_t at = m->sec[i].at, end = at + m->sec[i].octets;
        int k;

        if (at == end || at >= to || end <= from)
            continue;
        m->blocks_bad |= i == SEG_SEC_BLOCKS;
        m->files_bad |= i == SEG_SEC_FILES;
        k = snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "",
            section_names[i]);
        n += k > 0 ? (size_t)k : 0;
    }
    keep_map_say(m,
        (struct nr_damage){ .part = "index",
            .at = from,
            .octets = to - from,
            .rule = "checksum of the page",
            .sections = text });
}

/* The sum of the tail tells a damaged page from a damaged sum. */
static void
check_pages(struct keep_map *m)
{
    bool tail = sum_of(m, m->sums_at, m->n - 8) == le(m->p + m->n - 8, 8);
    size_t before = m->damages, wrong = 0;

    for (uint64_t at = m->index_at, i = 0; at < m->sums_at;
         at += SEG_PAGE, i++) {
        uint64_t to = nr_min(at + SEG_PAGE, m->sums_at);

        if (sum_of(m, at, to) == le(m->p + m->sums_at + i * 8, 8))
            continue;
        if (tail)
            say_page(m, at, to);
        wrong++;
    }
    if (tail)
        return;
    if (wrong > 0)
        bad(m, "sums", m->sums_at, m->n - TAIL - m->sums_at,
            "checksum of the tail, and pages that do not have their sums");
    else if (before == 0)
        bad(m, "trailer", m->n - SEG_TRAILER, SEG_TRAILER,
            "checksum of the tail; its table or its sums may be damaged");
    if (wrong > 0 && before > 0)
        m->blocks_bad = m->files_bad = true;
}

bool
keep_map_block(const struct keep_map *m, uint64_t i, struct seg_block *b)
{
    const uint8_t *r = m->p + m->sec[SEG_SEC_BLOCKS].at + i * SEG_BLOCK_ROW;

    *b = (struct seg_block){ .at = le(r, 8),
        .sum = le(r + 8, 8),
        .stored = (uint32_t)le(r + 16, 4),
        .text = (uint32_t)le(r + 20, 4),
        .meta = (uint32_t)le(r + 24, 4),
        .codec = r[28],
        .source = r[29],
        .flags = r[30],
        .first_s = (int64_t)le(r + 32, 8),
        .last_s = (int64_t)le(r + 40, 8),
        .file = (uint32_t)le(r + 48, 4),
        .lines = (uint32_t)le(r + 52, 4),
        .first_line = le(r + 56, 8),
        .text_at = le(r + 64, 8) };
    return b->at >= SEG_HEADER && b->at <= m->index_at &&
        b->stored <= m->index_at - b->at;
}

bool
keep_map_sound(const struct keep_map *m, const struct seg_block *b)
{
    return sum_of(m, b->at, b->at + b->stored) == b->sum;
}

/* Where a row of a damaged table points is told by the rows around it; that
 * it is so, the block's checksum tells. */
static bool
mend_row(struct keep_map *m, uint64_t i, uint64_t end, struct seg_block *b)
{
    uint8_t *r = m->p + m->sec[SEG_SEC_BLOCKS].at + i * SEG_BLOCK_ROW;
    struct seg_block next;
    uint64_t to = m->index_at;

    if (!m->blocks_bad)
        return false;
    if (i + 1 < m->sec[SEG_SEC_BLOCKS].count) {
        if (!keep_map_block(m, i + 1, &next))
            return false;
        to = next.at;
    }
    if (to <= end || to > m->index_at || to - end > UINT32_MAX)
        return false;
    b->at = end;
    b->stored = (uint32_t)(to - end);
    if (!keep_map_sound(m, b))
        return false;
    put(r, b->at, 8);
    put(r + 16, b->stored, 4);
    return true;
}

static void
check_blocks(struct keep_map *m)
{
    uint64_t end = SEG_HEADER;

    for (uint64_t i = 0; i < m->sec[SEG_SEC_BLOCKS].count; i++) {
        struct seg_block b, mended;
        bool inside = keep_map_block(m, i, &b);

        mended = b;
        if (inside && keep_map_sound(m, &b)) {
            if (b.at != end && !m->blocks_bad)
                bad(m, "block", end, 0, "blocks do not follow each other");
        } else if (mend_row(m, i, end, &mended)) {
            b = mended;
            inside = true;
        } else {
            keep_map_say(m,
                (struct nr_damage){ .part = "block",
                    .at = inside ? b.at : end,
                    .octets = inside ? b.stored : 0,
                    .rule = m->blocks_bad ? "checksum, or its row in the table"
                                          : "checksum",
                    .first_line = inside && !m->blocks_bad ? b.first_line : 0,
                    .lines = inside && !m->blocks_bad ? b.lines : 0 });
        }
        if (inside)
            end = b.at + b.stored;
    }
    if (end != m->index_at && !m->blocks_bad)
        bad(m, "block", end, 0, "octets that belong to no block");
}

static enum nr_err
map_file(const char *dir, const char *name, struct keep_map *m,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, dir, name, d);
    struct stat st;
    void *p = NULL;
    int fd;

    if (err)
        return err;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "segment: there is none", name);
    if (fd < 0 || fstat(fd, &st) != 0) {
        err = nr_fail_file(d, "segment: open", path);
    } else if (S_ISREG(st.st_mode) && st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
            fd, 0);
        if (p == MAP_FAILED)
            err = nr_fail_file(d, "segment: map", path);
        else
            m->n = (size_t)st.st_size;
    }
    if (!err)
        m->p = p;
    if (fd >= 0)
        close(fd);
    return err;
}

/* The plain text of a sealed file in place of it, with zeros for what does not
 * open. */
static enum nr_err
unseal(struct keep_map *m, const struct nr_archive_key *key, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    enum nr_err err;

    m->file = (struct nr_bytes){ m->p, m->n };
    m->p = NULL;
    m->n = 0;
    err = seal_view_open(key, m->file, m->name, false, &m->view, &why);
    if (err == NR_EDAMAGED) {
        bad(m, "seal", why.at, 0, why.what);
        err = seal_view_open(key, m->file, m->name, true, &m->view, &why);
    }
    if (err == NR_EDAMAGED || err == NR_EFORMAT)
        return NR_OK; /* nothing is left: too short to be a segment */
    if (err) {
        if (d)
            *d = why;
        return err;
    }
    for (uint64_t i = 0; i < seal_pages(m->view); i++)
        if (!seal_page(m->view, i))
            bad(m, "seal", i * SEAL_PAGE, SEAL_PAGE, "a page does not open");
    m->p = (uint8_t *)(uintptr_t)seal_plain(m->view).p;
    m->n = seal_plain(m->view).n;
    return NR_OK;
}

enum nr_err
keep_map_open(const char *dir, const char *name,
    const struct nr_archive_key *key, const struct nr_keep_say *say,
    struct keep_map *out, struct nr_diag *d)
{
    struct keep_map m = { .name = name, .say = say };
    enum nr_err err;

    if (!keep_name(name, &m.seq))
        return nr_fail_name(d, NR_ENOTFOUND,
            "segment: no name of one, as archive ls prints it", name);
    err = map_file(dir, name, &m, d);
    if (!err && key)
        err = unseal(&m, key, d);
    if (err) {
        keep_map_close(&m);
        return err;
    }
    if (m.n < SEG_HEADER + TAIL) {
        bad(&m, "file", 0, m.n, "too short to be a segment");
    } else {
        check_header(&m);
        if (!m.other_version)
            check_tail(&m);
    }
    if (m.mapped) {
        check_pages(&m);
        check_blocks(&m);
    }
    *out = m;
    return NR_OK;
}

void
keep_map_close(struct keep_map *m)
{
    if (m->file.p)
        (void)munmap((void *)(uintptr_t)m->file.p, m->file.n);
    else if (m->p)
        (void)munmap(m->p, m->n);
    seal_view_close(m->view);
    m->p = NULL;
    m->file = (struct nr_bytes){ 0 };
    m->view = NULL;
}

/* What checksums cannot tell: octets that a faulty writer put there. */
static enum nr_err
check_sense(const char *dir, const struct nr_archive_key *key,
    struct keep_map *m, struct nr_diag *d)
{
    struct segment *s = NULL;
    struct nr_diag why = { 0 };
    enum nr_err err = segment_open(dir, m->name, key, &s, &why);

    if (!err)
        err = segment_verify(s, &why);
    segment_close(s);
    if (err == NR_EDAMAGED || err == NR_EFORMAT) {
        bad(m, "index", why.at, 0, why.what);
        err = NR_OK;
    }
    if (err == NR_ENOTFOUND) /* pruned meanwhile */
        err = NR_OK;
    if (err && d)
        *d = why;
    return err;
}

/* A run is damaged, too, when it lacks what its segments have. */
static enum nr_err
check_run(struct nr_archive *a, const char *dir, const char *name,
    const struct nr_keep_say *say, struct nr_verified *v, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_diag why = { 0 };
    struct run *r = NULL;
    enum nr_err err = nr_path_join(path, dir, name, d);

    if (err)
        return err;
    err = run_open(path, name, a->key, &r, &why);
    if (!err)
        err = runs_verify(a, r, &why);
    run_close(r);
    if (err == NR_ENOTFOUND)
        return NR_OK;
    v->runs++;
    if (err == NR_EDAMAGED || err == NR_EFORMAT) {
        struct nr_damage x = { .file = name,
            .part = "run",
            .at = why.at,
            .rule = why.what,
            .sections = "" };

        v->runs_damaged++;
        v->damages++;
        if (say && say->damage)
            say->damage(say->ctx, &x);
        return NR_OK;
    }
    if (err && d)
        *d = why;
    return err;
}

enum nr_err
nr_keep_verify(const char *dir, const struct nr_archive_key *key,
    const struct nr_keep_say *say, struct nr_verified *out, struct nr_diag *d)
{
    struct nr_verified v = { 0 };
    struct nr_names names = { 0 };
    struct nr_archive *a = NULL;
    struct nr_arena arena;
    uint64_t seq;
    const struct nr_archive_caller caller = { .key = key };
    enum nr_err err = nr_archive_open(dir, NR_ARCHIVE_READ, &caller, &a, d);

    nr_arena_init(&arena, LIST_MEMORY);
    if (!err)
        err = nr_dir_list(&arena, dir, FILES_MAX, &names, d);
    for (size_t i = 0; !err && i < names.n; i++) {
        struct keep_map m = { 0 };
        struct nr_diag why = { 0 };

        if (runs_is_name(names.v[i], &seq)) {
            err = check_run(a, dir, names.v[i], say, &v, d);
            continue;
        }
        /* What another segment has taken over is nobody's loss. */
        if (!keep_name(names.v[i], &seq) || store_is_hidden(a, seq))
            continue;
        err = keep_map_open(dir, names.v[i], a->key, say, &m, &why);
        if (err == NR_ENOTFOUND) {
            err = NR_OK;
            continue;
        }
        if (!err && m.damages == 0)
            err = check_sense(dir, a->key, &m, &why);
        if (err && d)
            *d = why;
        v.segments++;
        v.damaged += m.damages > 0;
        v.damages += m.damages;
        keep_map_close(&m);
    }
    nr_arena_fini(&arena);
    nr_archive_close(a);
    *out = v;
    return err;
}
