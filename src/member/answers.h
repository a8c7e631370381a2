/*
 * The answer log HOME/answers.jsonl and its index in memory: which indicator
 * was answered in which version, and where its standing line is.
 *
 * Costs: one table slot and about 150 octets per indicator; a line is read
 * from the file only when it is wanted.
 */
#ifndef NR_MEMBER_ANSWERS_H
#define NR_MEMBER_ANSWERS_H

#include "base/table.h"
#include "member/member.h"

/* Memory of the index: a million indicators. */
#define NR_ANSWERS_MEMORY ((size_t)256 << 20)
#define NR_ANSWER_ID_MAX  ((size_t)256) /* octets of an id that we answer */

struct nr_known {
    struct nr_str id;    /* of the indicator; owned by the log */
    int64_t version_us;  /* its "modified" when answered */
    int64_t modified_us; /* of our answer */
    int64_t created_us;  /* of our first answer */
    uint64_t at, len;    /* the standing line in the file, with LF */
    uint64_t lines;
    int64_t last_s;
    uint8_t word; /* index for nr_answer_word() */
};

struct nr_answer_log {
    int fd;
    uint64_t end; /* octets of whole lines */
    struct nr_arena text;
    struct nr_table ids;
    struct nr_known *v; /* owned */
    size_t n, cap;
    char item[NR_ITEM_ID_MAX]; /* outbox item of the last batch; "" */
    uint64_t item_at;          /* first line of it */
};

/* Open and read; with REPAIR (the agent) the file is made if missing and a
 * line cut short is taken off. NR_EDAMAGED, NR_ENOMEM, NR_ESYS. */
enum nr_err nr_answer_log_open(const char *home, bool repair,
    struct nr_answer_log *log, struct nr_diag *d) NR_MUST_USE;
void nr_answer_log_close(struct nr_answer_log *log);

/* NULL: never answered. */
struct nr_known *nr_answer_log_find(const struct nr_answer_log *log,
    struct nr_str id);

/* Append whole LINES durably and index them. On failure none of them counts:
 * the file is cut back. */
enum nr_err nr_answer_log_append(struct nr_answer_log *log,
    struct nr_bytes lines, struct nr_diag *d) NR_MUST_USE;

/* N octets of the file at AT, arena-owned. */
enum nr_err nr_answer_log_text(const struct nr_answer_log *log,
    struct nr_arena *a, uint64_t at, uint64_t n, struct nr_bytes *out,
    struct nr_diag *d) NR_MUST_USE;

/* One answer line, and the first lines of an item, parse alike: the index of
 * the word; -1: none. */
int nr_answer_word_index(struct nr_str word);

#endif
