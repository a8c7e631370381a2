/*
 * Input: the lines of a log file or stream, in blocks of flat memory.
 *
 * Read are plain text, gzip (RFC 1952), xz and zstd (RFC 8878), told apart by
 * their first octets and not by their name; concatenated members are one text.
 * A UTF-8 byte order mark is taken off; UTF-16 (by its mark, or by the zero
 * octets that ASCII in UTF-16 has) becomes UTF-8, a half character U+FFFD.
 * Other octets are passed as they are: NUL octets, broken UTF-8 and CR stay.
 *
 * Memory does not grow with the input: at most block + NR_LINE_MAX octets for
 * text, NR_INPUT_RAW for what was read, and NR_INPUT_MEMORY for a decoder.
 *
 * Files that hold files - zip and tar, tar also packed - and packet captures
 * are packs: they are opened by nr_pack_open, which gives out what is in them,
 * one member after the other, each as a file that nr_input_from_fd reads.
 *
 * Thread-safety: an input or a pack belongs to one thread at a time.
 */
#ifndef NR_INPUT_H
#define NR_INPUT_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_INPUT_BLOCK     ((size_t)1 << 20) /* octets of text in a usual block */
#define NR_INPUT_BLOCK_MIN ((size_t)4096)
#define NR_INPUT_BLOCK_MAX ((size_t)1 << 26)
#define NR_INPUT_RAW       ((size_t)1 << 18) /* octets read at a time */
#define NR_LINE_MAX        ((size_t)1 << 20) /* a longer line comes in pieces */
#define NR_LINE_TAIL       ((size_t)1 << 16) /* where a cut is looked for */
/* Most that xz or zstd may ask for a window: xz -9 needs 65 MiB, zstd without
 * --long at most 8 MiB. */
#define NR_INPUT_MEMORY          ((size_t)1 << 27)
#define NR_INPUT_ZSTD_WINDOW_LOG 27

struct nr_input; /* owned by the caller of open; nr_input_free */

struct nr_input_options {
    size_t block;   /* octets of a block; 0: NR_INPUT_BLOCK */
    uint64_t start; /* begin at this offset of the text, see nr_block.at */
    uint64_t line;  /* number of the line that stands there; 0: 1 */
    bool follow;    /* the file grows: keep its last line until its LF */
    bool stream;    /* text as it stands: neither packed nor of another
                       character set; reading that would wait is an end */
    bool uncounted; /* leave first_line and lines of blocks at 0 */
    int stop_fd;    /* of a pipe or terminal: its end is reached when this
                       descriptor can be read; 0: none */
    /* Octets that the caller has read from FD already, at most NR_INPUT_RAW:
     * they come first (nr_input_from_fd, of what cannot seek). Copied. */
    struct nr_bytes head;
};

/*
 * One block: whole lines, each ended by LF. Its last line lacks the LF only
 * when the text ends without one (`open_end`) or the line goes on
 * (`goes_on`).
 *
 * A line longer than NR_LINE_MAX comes in pieces, one piece a block, nothing
 * else in it: `goes_on` in all but the last, `continues` in all but the first,
 * all with the same first_line. Pieces follow each other without gap and
 * without overlap. A piece ends behind an octet that no token contains (white
 * space, a control, a quote, '<' or '>'), the last one among its last
 * NR_LINE_TAIL octets; if there is none, behind the last octet there that no
 * name, address or hash contains; so a scanner that treats each piece as a
 * line finds the same tokens. Where no such octet exists either, the cut falls
 * inside one run of more than NR_LINE_TAIL token octets, no indicator can be
 * as long, and torn_tail here and torn_head in the next piece say that a token
 * that touches this end of the piece is not a whole one.
 */
struct nr_block {
    struct nr_bytes text; /* borrowed until the next call with this input */
    uint64_t at;          /* offset of text.p[0] in the text as delivered: after
                             decompression and conversion, without the mark */
    uint64_t first_line;  /* number of its first line, from 1 */
    uint32_t lines;       /* lines begun or continued in it, >= 1 */
    bool continues, goes_on, open_end, torn_head, torn_tail;
};

/*
 * Open PATH ("-": standard input). O may be NULL. NR_ENOTFOUND: no such file;
 * NR_EFORMAT: a directory, or binary (see nr_input_next); NR_ESYS: other
 * failures of open(2), with errno; NR_ELIMIT: options out of range;
 * NR_ENOMEM. The name is in D.
 */
enum nr_err nr_input_open(const char *path, const struct nr_input_options *o,
    struct nr_input **out, struct nr_diag *d) NR_MUST_USE;

/*
 * The same over FD, opened by the caller, who may have lost the right to open
 * files since; FD is borrowed and read from where it stands (from 0, if it can
 * seek). NAME is for messages. Only read(2), fstat(2) and lseek(2) are used.
 */
enum nr_err nr_input_from_fd(int fd, const char *name,
    const struct nr_input_options *o, struct nr_input **out,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The next block. At the end: NR_OK with an empty text; on a growing plain
 * file later calls may give more. Whatever can be read is delivered first;
 * only then, and on every later call, the failure is returned:
 * NR_ETRUNC: a compressed file ends early, or a file became shorter while it
 * was read; NR_EFORMAT: damaged compressed data, or text that begins with
 * binary data (nothing is delivered then); NR_ELIMIT: the
 * decoder wants more than NR_INPUT_MEMORY; NR_ESYS: read(2) failed; NR_ENOMEM.
 */
enum nr_err nr_input_next(struct nr_input *in, struct nr_block *out,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The same into a buffer of the caller: nothing is copied but the part of a
 * line that the block before ended in. BUF has nr_input_room(block option)
 * octets; the text stands in it with NR_INPUT_SLACK octets before it and as
 * many behind it, all of them LF.
 */
#define NR_INPUT_SLACK ((size_t)64)
size_t nr_input_room(size_t block);
enum nr_err nr_input_next_in(struct nr_input *in, uint8_t *buf,
    struct nr_block *out, struct nr_diag *d) NR_MUST_USE;

/* True when the text's octet I is the file's octet I + *MARK; known once the
 * first block was read. */
bool nr_input_is_flat(const struct nr_input *in, size_t *mark);

/* Octets of the file that were read so far, packed ones as they are. */
uint64_t nr_input_offset(const struct nr_input *in);

/* Following stopped: what is left of the last line comes with the next call. */
void nr_input_finish(struct nr_input *in);

/* What became of the file NAME stands for since it was opened. */
enum nr_input_state {
    NR_INPUT_SAME,
    NR_INPUT_GROWN,   /* more can be read */
    NR_INPUT_SHRUNK,  /* truncated: reopen, read from 0 */
    NR_INPUT_ROTATED, /* another file has the name: read to the end, reopen */
    NR_INPUT_GONE,    /* no file has the name (yet) */
};
enum nr_input_state nr_input_check(const struct nr_input *in);

/* "plain", "gz", "xz" or "zst"; static. */
const char *nr_input_form(const struct nr_input *in);

/* Modification time of the file, epoch seconds; NR_TIME_NONE (base/date.h) for
 * pipes and the like. */
int64_t nr_input_mtime(const struct nr_input *in);

/* IN may be NULL. Closes what nr_input_open opened. */
void nr_input_free(struct nr_input *in);

/*
 * Take the first line off *REST into *LINE, without its LF or CR LF. False
 * when *REST is empty.
 */
static inline bool
nr_line_next(struct nr_bytes *rest, struct nr_bytes *line)
{
    const uint8_t *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = lf ? (size_t)(lf - rest->p) : rest->n;
    size_t skip = lf ? n + 1 : n;

    if (rest->n == 0)
        return false;
    *line = (struct nr_bytes){ rest->p, n };
    if (n > 0 && rest->p[n - 1] == '\r')
        line->n--;
    *rest = (struct nr_bytes){ rest->p + skip, rest->n - skip };
    return true;
}

/* Packs */

#define NR_PACK_MEMBERS_MAX UINT64_C(100000)    /* entries of one pack */
#define NR_PACK_OCTETS_MAX  (UINT64_C(1) << 40) /* of all members, unpacked */
/* Members hold at most that many octets for each octet of the pack, once they
 * hold NR_PACK_SMALL: logs are packed 10 to 100 times, bombs 1000 times. */
#define NR_PACK_RATIO_MAX UINT64_C(400)
#define NR_PACK_SMALL     (UINT64_C(64) << 20)
#define NR_PACK_NAME_MAX  ((size_t)1024) /* of a member, within the pack */

struct nr_pack_limits { /* 0: the limit above */
    uint64_t members, octets, ratio;
};

struct nr_pack; /* owned by the caller of open; nr_pack_free */

/*
 * One member, borrowed until the next call with its pack. NAME is
 * "PACK!name within": control characters as '?', a leading '/' or "./" left
 * out; of a capture that lies there by itself it is the pack's own. FD can be
 * read and rewound, and is -1 when FAULT says why the member was not taken: a
 * name that leads out of the pack (".."), an encrypted member, a pack within
 * a pack. With FD and FAULT both, the octets before the damage are there.
 */
struct nr_member {
    const char *name; /* NULL: there are no more */
    int fd;
    int64_t mtime_s; /* NR_TIME_NONE: not said */
    struct nr_diag fault;
};

/* Does FD, which can seek, hold a zip, a tar (plain, gz, xz, zst) or a packet
 * capture (pcap, pcapng; plain, gz, xz, zst)? By its first octets; rewinds. */
bool nr_pack_is(int fd);

/*
 * Open the pack in FD (borrowed, rewound), NAME for messages. Members are
 * unpacked one at a time into a file without a name in directory SPOOL.
 * LIMITS may be NULL. NR_EFORMAT, NR_ENOMEM, NR_ESYS.
 */
enum nr_err nr_pack_open(int fd, const char *name, const char *spool,
    const struct nr_pack_limits *limits, struct nr_pack **out,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The next member: a file of an archive in the order they are stored, without
 * directories, links and devices. A capture becomes lines of JSON as Suricata
 * writes them to eve.json, event types flow, dns, http and tls: of DNS
 * questions and answers in UDP and TCP, requests of HTTP/1 with the whole URL
 * and the server's name of TLS, in the order of the packets, and of each flow
 * when NR_FLOW_IDLE_S or the capture ended, with its first packet's time.
 * After a failure of the pack itself there are no more members: NR_ETRUNC,
 * NR_EFORMAT (damaged), NR_ELIMIT (a limit above; D says which), NR_ENOMEM,
 * NR_ESYS (the spool: disk full).
 */
enum nr_err nr_pack_next(struct nr_pack *p, struct nr_member *out,
    struct nr_diag *d) NR_MUST_USE;

void nr_pack_free(struct nr_pack *p); /* NULL is fine */

#define NR_FLOW_IDLE_S    INT64_C(300) /* of the capture: then a flow ended */
#define NR_FLOWS_MAX      ((size_t)65536) /* at once; the idlest ends early */
#define NR_FLOW_HEAD_MAX  ((size_t)16384) /* of a request or hello */
#define NR_FLOW_HEADS_MAX ((size_t)64 << 20) /* of all of them together */

#endif
