/*
 * What runs through the pipe from the receiver to its reader: frames of a
 * 12-octet head (type, 0, octets of cursor u16, origin u32, octets of text
 * u32, little endian), text, cursor. Both ends are the same program, so the
 * format has no version. Private to the room.
 */
#ifndef NR_RECEIVER_PIPE_H
#define NR_RECEIVER_PIPE_H

#include "base/buf.h"
#include "receiver/receiver.h"

#define NR_PIPE_HEAD     ((size_t)12)
#define NR_PIPE_TEXT_MAX ((size_t)1 << 20) /* octets of text of one frame */
#define NR_PIPE_FULL     ((size_t)1 << 18) /* of lines: begin another frame */
#define NR_PIPE_FRAME_MAX \
    (NR_PIPE_HEAD + NR_PIPE_TEXT_MAX + NR_RECEIVER_CURSOR_MAX)

enum nr_pipe_type {
    NR_PIPE_ADDRESS = 1, /* text: of the next listener */
    NR_PIPE_READY,       /* confined and listening */
    NR_PIPE_FAIL,        /* text: enum nr_err u16, words; instead of READY */
    NR_PIPE_ORIGIN,      /* text: name of origin number `origin` */
    NR_PIPE_LINES,       /* text: whole lines; cursor */
    NR_PIPE_STATS,       /* text: the counters, u64 each */
    NR_PIPE_NOTE,        /* text: for the operator */
    NR_PIPE_JOURNAL_END, /* journalctl says no more */
    NR_PIPE_END,         /* all is said */
};

struct nr_pipe_frame {
    enum nr_pipe_type type;
    uint32_t origin;
    struct nr_bytes text, cursor;
};

/*
 * The frame at the head of IN, *TAKEN octets long. NR_ETRUNC: more octets are
 * needed; NR_EFORMAT: no frame; beyond the limits; lines without their LF, a
 * name or note with controls in it, counters of another number.
 */
enum nr_err nr_pipe_parse(struct nr_bytes in, struct nr_pipe_frame *out,
    size_t *taken) NR_MUST_USE;

struct nr_pipe_out {
    struct nr_buf buf; /* frames; those of before `sent` are written */
    size_t sent;
    size_t open; /* head of the frame of lines that is being filled */
    bool filling;
    uint32_t origin; /* its */
};

void nr_pipe_init(struct nr_pipe_out *o, size_t max);
void nr_pipe_fini(struct nr_pipe_out *o);
/* One line is appended to the returned buffer next. */
struct nr_buf *nr_pipe_line(struct nr_pipe_out *o, uint32_t origin);
/* End the frame of lines, if one is open. */
void nr_pipe_end_lines(struct nr_pipe_out *o, struct nr_str cursor);
/* Any other frame. */
void nr_pipe_put(struct nr_pipe_out *o, enum nr_pipe_type type, uint32_t origin,
    struct nr_bytes text);
void nr_pipe_put_stats(struct nr_pipe_out *o,
    const struct nr_receiver_stats *s);
void nr_pipe_put_fail(struct nr_pipe_out *o, const struct nr_diag *d);

/* Write what the pipe takes. NR_ESYS: the reader is gone. */
enum nr_err nr_pipe_flush(struct nr_pipe_out *o, int fd,
    struct nr_diag *d) NR_MUST_USE;

static inline size_t
nr_pipe_waiting(const struct nr_pipe_out *o)
{
    return o->buf.n - o->sent;
}

/* Read the text of a frame of its type. */
void nr_pipe_get_stats(struct nr_bytes text, struct nr_receiver_stats *s);
/* Returns the error; the words become D's name. */
enum nr_err nr_pipe_get_fail(struct nr_bytes text, struct nr_diag *d);

#endif
