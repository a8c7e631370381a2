/*
 * Segment: one immutable file of an archive. Private to the room.
 *
 * All numbers are little endian. "sum" is XXH3 with 64 bits, seed 0.
 *
 *   header   magic[8] endian:4 version:4 seq:8 sum:8
 *   blocks   stored blocks, without gaps
 *   sections without gaps, from index_at to sums_at (enum seg_section)
 *   sums     8 octets for each SEG_PAGE octets of [index_at, sums_at)
 *   table    rows id:4 0:4 at:8 octets:8 count:8
 *   trailer  magic[8] endian:4 version:4 index_at:8 sums_at:8 table_at:8
 *            rows:4 0:4 size:8 sum:8 (of everything from sums_at to here)
 *
 * So every octet is under a sum: header, blocks (the sum stands in the block
 * table), pages of the index, tail. A reader checks only the pages it touches.
 *
 * A stored block holds the text of whole lines, then for each line a varint
 * zigzag(time - time before) << 3 | unknown time << 2 | denied.
 *
 * The index holds one entry for each distinct observable, in three classes of
 * keys: IPv4 addresses (4 octets, a number), IPv6 (16), all others (40 bits:
 * the upper ones of a 64-bit fingerprint of kind and canonical value; where two
 * fall together there are two entries of one key). The entries of a class stand
 * in ascending order in groups of SEG_GROUP, one after the other in ENTRIES.
 *
 *   directory  a row for each group of a class: its first key, and where it
 *              begins in ENTRIES (4 octets); one row more: where the last ends
 *   group      width:1, then the keys behind the first: width 1..40: numbers of
 *              so many bits, low bits first: distance from the key before;
 *              0: all keys are equal; SEG_WIDE: 16 octets each, network order.
 *              Then the entries.
 *   entry      varint v. Bit 0 clear: the observable stands in block v >> 2
 *              alone, bit 1 clear: on one line of it; all else the block tells.
 *              Bit 0 set: v >> 1 octets follow:
 *     varints: lines, flags; denied lines if SEG_E_DENIED; mask of sources if
 *     SEG_E_SOURCES, else it is that of the blocks; a bitmap of all blocks of
 *     the segment if SEG_E_BITMAP, else how many; if SEG_E_FAR zigzag(first),
 *     last - first; if SEG_E_DAYS number of days, zigzag of the first,
 *     distances - 1.
 *     Then bits, low ones first. Unless SEG_E_BITMAP the first block and the
 *     distances - 1 in Rice's code of seg_rice(): v >> k ones, a zero, k bits
 *     of v. If SEG_E_TIMES first - first of the first block, last - first of
 *     the last block, each with as many bits as last - first of that block
 *     takes. Unless SEG_E_DAYS for each block in order that spans more than one
 *     day as many bits as it has days; a block of one day says that day.
 *
 * Thread-safety: a segment belongs to one thread.
 */
#ifndef NR_ARCHIVE_SEGMENT_H
#define NR_ARCHIVE_SEGMENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cur.h"
#include "base/date.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define SEG_VERSION    3u
#define SEG_ENDIAN     0x0a0b0c0du
#define SEG_HEADER     ((size_t)32)
#define SEG_TRAILER    ((size_t)64)
#define SEG_ROW        ((size_t)32)
#define SEG_PAGE       ((size_t)65536)
#define SEG_BLOCK_ROW  ((size_t)72)
#define SEG_INFO       ((size_t)88)
#define SEG_TEXT_BLOCK ((size_t)65536) /* octets of text in a usual block */
/* Most that a block may hold: a line of NR_LINE_MAX and its row. */
#define SEG_BLOCK_MAX ((size_t)1 << 22)
#define SEG_HEAD      ((size_t)4096) /* octets that recognise a file */
/* Days that coverage knows: 1970-01-01 to 2199-12-31. */
#define SEG_DAYS ((int64_t)84006)
/* Times beyond (year 36812) are taken as unknown. */
#define SEG_TIME_MAX (INT64_C(1) << 40)

#define SEG_MAGIC     "\x89NRSEG\r\n"
#define SEG_MAGIC_END "NRSEGEND"

enum seg_section {
    SEG_SEC_INFO,
    SEG_SEC_FILES,
    SEG_SEC_BLOCKS,
    SEG_SEC_PRESENCE,
    SEG_SEC_DIR4,
    SEG_SEC_DIR6,
    SEG_SEC_DIRN,
    SEG_SEC_ENTRIES,
    SEG_SEC_RHYTHM,
    SEG_SEC_REPLACES,
    SEG_SECTIONS,
};

/* Octets of an element of a section; 0: it is no array. */
size_t seg_element(unsigned id);

/* Classes of keys, each with its own order. */
enum seg_class { SEG_V4, SEG_V6, SEG_NAME, SEG_CLASSES };

/* A key of any class: a 128-bit number. V4 and NAME: hi is 0. */
struct seg_key {
    uint64_t hi, lo;
};

static inline int
seg_key_cmp(struct seg_key a, struct seg_key b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

/* What the index keeps of a key: of a name the upper bits. */
#define SEG_NAME_BITS   40u
#define SEG_NAME_OCTETS ((size_t)SEG_NAME_BITS / 8)

static inline struct seg_key
seg_stored_key(enum seg_class c, struct seg_key k)
{
    if (c == SEG_NAME)
        k.lo >>= 64 - SEG_NAME_BITS;
    return k;
}

#define SEG_GROUP      ((size_t)64) /* entries */
#define SEG_DIR_ROW(n) ((size_t)(n) + 4)
#define SEG_WIDE       255u
#define SEG_BITMAP_OF  3u /* a bitmap is shorter above one block in so many */
#define SEG_DAY_BITS   16 /* days of a block, above them days are listed */

#define SEG_E_DENIED  1u
#define SEG_E_SOURCES 2u
#define SEG_E_BITMAP  4u
#define SEG_E_TIMES   8u
#define SEG_E_DAYS    16u
#define SEG_E_FAR     32u
#define SEG_E_ALL     63u

/* Class and key of an observable; false: the archive does not index KIND. */
bool seg_key_of(unsigned kind, struct nr_bytes key, enum seg_class *c,
    struct seg_key *out) NR_MUST_USE;

/* Room for what seg_url_origin() builds; a longer origin is cut. */
#define SEG_ORIGIN_MAX ((size_t)512)

/* "http://host:port" of canonical URL, in BUF or in URL. Of whatever octets:
 * those of equal URLs are equal. */
struct nr_bytes seg_url_origin(struct nr_bytes url,
    uint8_t buf[SEG_ORIGIN_MAX]);

enum { SEG_PLAIN = 0, SEG_ZSTD = 1 }; /* codecs */

#define SEG_CONTINUES 1u /* its first line goes on from the block before */
#define SEG_CUT       2u /* the text was not kept (NR_ARCHIVE_LINE_KEEP) */

struct seg_block {
    uint64_t at, sum; /* where it is stored; sum of the stored octets */
    uint32_t stored, text, meta;
    uint8_t codec, source, flags;
    int64_t first_s, last_s;
    uint32_t file, lines;
    uint64_t first_line, text_at; /* in the file */
};

/* Parameter of the Rice code of N of ALL blocks, N > 0. */
static inline unsigned
seg_rice(uint64_t all, uint64_t n)
{
    return all / n > 1 ? 63 - (unsigned)__builtin_clzll(all / n) : 0;
}

/* Bits of a number of seconds within a block; of a row with times. */
static inline unsigned
seg_span_bits(const struct seg_block *r)
{
    uint64_t span = (uint64_t)r->last_s - (uint64_t)r->first_s;

    return span ? 64 - (unsigned)__builtin_clzll(span) : 0;
}

/* What a segment holds of one file. */
struct seg_file {
    uint64_t id;       /* the same in all segments that hold parts of it */
    uint64_t dev, ino; /* 0, 0: no file (standard input) */
    uint32_t head_n;   /* the file's first octets then, at most SEG_HEAD ... */
    uint8_t head[16];  /* ... and their XXH3, 128 bits */
    uint64_t from, to; /* the text read: [from, to) */
    uint8_t hash[16];  /* XXH3 of it, 128 bits */
    uint64_t lines;    /* in the file up to `to` */
    uint64_t open_at;  /* where a last line without LF begins; else `to` */
    int64_t mtime_s;
    struct nr_str name;
};

/* Of a URL only its scheme, host and port are indexed (seg_url_origin): which
 * URL it is only the blocks tell. */
#define SEG_I_NO_URLS 1u
#define SEG_I_ALL     1u

struct seg_info {
    uint64_t lines, text, observations;
    int64_t first_s, last_s;
    uint32_t sources, kinds;
    int64_t created_s;    /* when it was begun: no line is younger */
    uint32_t flags;       /* SEG_I_* */
    uint64_t observables; /* not stored so: the sum of the keys */
    uint64_t seq;         /* from the header */
};

struct seg_presence {
    uint8_t source, kind; /* numbers of enum nr_source, bit of NR_LOG_* */
    uint64_t lines;
    int64_t first_day;
    struct nr_bytes days; /* bitmap, bit 0 of octet 0 is first_day */
};

/* Reading */

struct segment;

#define SEG_UNCHECKED 1u /* believe all sums: for fuzzing behind them */

/* Over octets in memory, borrowed. NR_EDAMAGED, NR_EFORMAT (a newer version),
 * NR_ENOMEM. */
enum nr_err segment_open_mem(struct nr_bytes map, unsigned flags,
    struct segment **out, struct nr_diag *d) NR_MUST_USE;
/* Over a file, sealed if there is a KEY. NR_ENOTFOUND, NR_ESYS too. D names it.
 */
struct nr_archive_key;
enum nr_err segment_open(const char *dir, const char *name,
    const struct nr_archive_key *key, struct segment **out,
    struct nr_diag *d) NR_MUST_USE;
void segment_close(struct segment *s);

const struct seg_info *segment_info(const struct segment *s);
const char *segment_name(const struct segment *s);
uint64_t segment_size(const struct segment *s);
uint64_t segment_index_size(const struct segment *s);
uint32_t segment_blocks(const struct segment *s);
uint64_t segment_file_count(const struct segment *s);

/* All files, arena-owned; names point into the segment. */
enum nr_err segment_files(struct segment *s, struct nr_arena *a,
    struct seg_file **out, size_t *n, struct nr_diag *d) NR_MUST_USE;

enum nr_err segment_block(struct segment *s, uint32_t i, struct seg_block *out,
    struct nr_diag *d) NR_MUST_USE;

/* Walk presence: *C is made by segment_presence_begin; false at the end or
 * when c->err is set. */
enum nr_err segment_presence_begin(struct segment *s, struct nr_cur *c,
    struct nr_diag *d) NR_MUST_USE;
bool segment_presence_next(struct nr_cur *c, struct seg_presence *out);

/*
 * When streams of lines wrote: section RHYTHM, a row for each stream (lines of
 * one source and set of kinds, from files of one name without what rotation
 * adds). A row: 1 source, varint kinds, 1 octets of name, name, varints urls,
 * queries, paths, tunnels, secure, clients, as many times 4 octets of XXH3 of
 * a client unless that is SEG_CLIENTS + 1, lines, number of jumps; each jump:
 * zigzag from, zigzag(to - from); number of stretches of hours with lines; the
 * first hour (since 1970), then by turns hours with and hours without lines,
 * less one each, ending with hours that have some.
 */
#define SEG_STREAMS_MAX ((size_t)1024) /* in a segment */
#define SEG_NAME_MAX    ((size_t)255)  /* octets of a stream's name */
#define SEG_JUMPS_MAX   ((size_t)64)   /* told of a stream */
#define SEG_CLIENTS     4u /* client addresses counted; one more: there are more */
#define SEG_HOURS       (SEG_DAYS * 24)

struct seg_stream {
    uint8_t source;
    uint32_t kinds; /* NR_LOG_* */
    struct nr_str name;
    /* Of the lines of a proxy, as far as looked at: those that say what was
     * asked for; of these, with a query, with a path, as a tunnel to a port
     * (CONNECT), https with a path. */
    uint64_t urls, queries, paths, tunnels, secure;
    uint32_t clients; /* distinct ones, at most SEG_CLIENTS + 1 */
    uint32_t client[SEG_CLIENTS];
    uint64_t lines; /* with a time */
    size_t n_jumps, n_runs;
    struct nr_bytes jumps, runs; /* see seg_jump_next, seg_run_next */
};

/* A clock that went back: lines up to FROM, then lines from TO < FROM on. */
struct seg_jump {
    int64_t from_s, to_s;
};

struct seg_run {
    int64_t from, to; /* hours with lines, both included */
};

/* Walk the streams as segment_presence_begin does; rows are checked. */
enum nr_err segment_rhythm_begin(struct segment *s, struct nr_cur *c,
    struct nr_diag *d) NR_MUST_USE;
bool segment_rhythm_next(struct nr_cur *c, struct seg_stream *out);
/* Walk the lists of a row: *C is nr_cur() of it; *AT is 0 at first. */
bool seg_jump_next(struct nr_cur *c, struct seg_jump *out);
bool seg_run_next(struct nr_cur *c, int64_t *at, struct seg_run *out);

/* Bit I of BITS, low bits first. */
static inline bool
seg_bit(const uint8_t *bits, size_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

/* Take the client HASH into X; no more than one beyond SEG_CLIENTS counts. */
static inline void
seg_add_client(struct seg_stream *x, uint32_t hash)
{
    for (uint32_t i = 0; i < x->clients; i++)
        if (x->clients > SEG_CLIENTS || x->client[i] == hash)
            return;
    if (x->clients < SEG_CLIENTS)
        x->client[x->clients] = hash;
    x->clients++;
}

/* Append the row of X; its runs are bits [FROM, TO) of BITS, the first and the
 * last of them set, bit 0 being hour BASE. */
void seg_put_stream(struct nr_buf *b, const struct seg_stream *x,
    const uint8_t *bits, int64_t base, size_t from, size_t to);

/* A segment whose content this one has taken over: sequence number, checksum
 * of its trailer, and when it was done first. */
#define SEG_REPLACED     ((size_t)24)
#define SEG_REPLACED_MAX ((uint64_t)1 << 17)

struct seg_replaced {
    uint64_t seq, sum;
    int64_t since_s;
};

/* How many; row I, ascending by number. */
uint64_t segment_replaced_count(const struct segment *s);
enum nr_err segment_replaced(struct segment *s, uint64_t i,
    struct seg_replaced *out, struct nr_diag *d) NR_MUST_USE;
void seg_put_replaced(struct nr_buf *b, const struct seg_replaced *r);

/* The checksum of the trailer: through those it covers it stands for every
 * octet of the segment. */
uint64_t segment_sum(const struct segment *s);

/* Keys of class C as they are stored, and the first index >= FROM whose key is
 * not below what is stored of KEY. */
uint64_t segment_keys(const struct segment *s, enum seg_class c);
enum nr_err segment_key(struct segment *s, enum seg_class c, uint64_t i,
    struct seg_key *out, struct nr_diag *d) NR_MUST_USE;
enum nr_err segment_seek(struct segment *s, enum seg_class c, uint64_t from,
    struct seg_key key, uint64_t *out, struct nr_diag *d) NR_MUST_USE;

struct seg_posting {
    /* Nothing is known but sources and its one block, and whether it is one
     * line (lines is 1, else 0): the block tells the rest. */
    bool in_block;
    uint64_t lines, denied;
    int64_t first_s, last_s; /* NR_TIME_NONE: none has a time */
    uint32_t sources;
    uint32_t n_blocks, n_days;
    uint32_t *blocks; /* arena-owned, ascending */
    int32_t *days;
};

enum nr_err segment_posting(struct segment *s, enum seg_class c, uint64_t i,
    struct nr_arena *a, struct seg_posting *out, struct nr_diag *d) NR_MUST_USE;

/* Opened blocks: memory and decoder that are used again. */
struct seg_text {
    struct nr_buf buf, sealed;
    void *dctx;
    struct nr_bytes text, meta; /* of the block read last */
};

void seg_text_init(struct seg_text *t);
void seg_text_fini(struct seg_text *t);
enum nr_err segment_read(struct segment *s, const struct seg_block *b,
    struct seg_text *t, struct nr_diag *d) NR_MUST_USE;

/* The next line's row of META; PREV starts at 0. */
struct seg_line {
    int64_t time_s;
    bool denied;
};
struct seg_line seg_meta_next(struct nr_cur *meta, int64_t *prev);

/* Every octet. */
enum nr_err segment_verify(struct segment *s, struct nr_diag *d) NR_MUST_USE;

/* Encoding, shared with the writer */

void seg_put_varint(struct nr_buf *b, uint64_t v);
uint64_t seg_get_varint(struct nr_cur *c);

static inline uint64_t
seg_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t
seg_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

/* Writing */

struct seg_writer;

/* Begin segment SEQ in DIR, as a temporary file; sealed if there is a KEY.
 * NR_ESYS, NR_ENOMEM. */
enum nr_err seg_writer_open(const char *dir, uint64_t seq,
    const struct nr_archive_key *key, struct seg_writer **out,
    struct nr_diag *d) NR_MUST_USE;
/* Gives up what was not published. NULL is fine. */
void seg_writer_close(struct seg_writer *w);

/* Store TEXT and META as a block; at, sum, stored, text, meta and codec of
 * *B are filled in, the rest is the caller's. */
enum nr_err seg_writer_block(struct seg_writer *w, struct nr_bytes text,
    struct nr_bytes meta, struct seg_block *b, struct nr_diag *d) NR_MUST_USE;

uint32_t seg_writer_blocks(const struct seg_writer *w);

/* Sections, in the order of enum seg_section, appended to the buffer that
 * seg_writer_section returns for it. */
struct nr_buf *seg_writer_section(struct seg_writer *w, enum seg_section id,
    uint64_t count);
void seg_put_file(struct nr_buf *b, const struct seg_file *f);
/* The next row; false: there is none that makes sense. */
bool seg_get_file(struct nr_cur *c, struct seg_file *out);
void seg_put_info(struct nr_buf *b, const struct seg_info *i,
    const uint64_t keys[SEG_CLASSES]);

/* The index, entry by entry, in ascending order of class and stored key. */

struct seg_place {
    uint32_t block;
    int32_t day; /* INT32_MIN: no time */
};

struct seg_entry {
    struct seg_key key; /* as seg_key_of */
    uint64_t lines, denied;
    int64_t first_s, last_s;
    uint32_t sources;
    const struct seg_place *places; /* ascending blocks */
    size_t n_places;                /* > 0 */
};

struct seg_index {
    const struct seg_block *rows; /* of the segment */
    uint32_t n_rows;
    struct nr_buf dir[SEG_CLASSES], entries; /* owned */
    uint64_t keys[SEG_CLASSES];
    uint32_t end[SEG_CLASSES];       /* of each class, in ENTRIES */
    struct nr_buf body, group, days; /* owned; scratch */
    struct seg_key key[SEG_GROUP];   /* of the group being gathered */
    uint32_t n;
    enum seg_class cls;
};

void seg_index_init(struct seg_index *x, const struct seg_block *rows,
    uint32_t n_rows);
void seg_index_fini(struct seg_index *x);
void seg_index_put(struct seg_index *x, enum seg_class c,
    const struct seg_entry *e);
/* Directories and entries, as sections of W. NR_ENOMEM. */
enum nr_err seg_index_end(struct seg_index *x,
    struct seg_writer *w) NR_MUST_USE;

/* fsync, rename, fsync of the directory: then it exists. *SIZE: its octets. */
enum nr_err seg_writer_publish(struct seg_writer *w, uint64_t *size,
    struct nr_diag *d) NR_MUST_USE;

#endif
