/*
 * ClickHouse in place of an archive's directory: the same lines, the same
 * answers, kept by servers of the organisation's own. For when one machine is
 * too small; doc/scale.md says when that is.
 *
 * Four tables in one database: noroshi_lines, noroshi_seen (an observable in
 * a line), noroshi_files (how far a file was read) and, with cluster=, the
 * tables "..._local" of each shard, of which the others are Distributed ones.
 * A row is known by file and line number and every answer counts distinct
 * ones, so rows that an interrupted or repeated insert left twice do no harm:
 * exactly-once does not rest on a setting of the server.
 *
 * "clickhouses" is HTTPS: the server's certificate must hold for its name, under
 * the system's authorities or those of a file. "clickhouse" is HTTP without TLS,
 * for servers on the same machine or behind a tunnel.
 * Thread-safety: a handle belongs to one thread.
 */
#ifndef NR_CLICKHOUSE_H
#define NR_CLICKHOUSE_H

#include "archive/archive.h"

#define NR_CLICKHOUSE_SCHEME "clickhouse://"
#define NR_CLICKHOUSE_TLS    "clickhouses://"
#define NR_CLICKHOUSE_HOSTS  16u               /* in one address */
#define NR_CLICKHOUSE_BATCH  ((size_t)8 << 20) /* octets of lines an insert */
#define NR_CLICKHOUSE_REPLY  ((size_t)1 << 30) /* octets of an answer */

struct nr_clickhouse; /* owned by the caller of open; nr_clickhouse_close */

bool nr_clickhouse_is(const char *address);

/*
 * ADDRESS: clickhouse[s]://[user[:password]@]host[:port][,host:port...]/database
 * [?cluster=NAME][&ca=FILE][&password-file=FILE], ports 8123 and, of TLS, 8443.
 * With a cluster the hosts are its shards, each named once:
 * tables are made on each, since servers without a keeper cannot be told
 * through one of them; data goes in and out through the first. MAKE: make what
 * is missing. NR_EFORMAT (the address), NR_ESYS (no server, or what it says).
 */
enum nr_err nr_clickhouse_open(const char *address, bool make,
    struct nr_clickhouse **out, struct nr_diag *d) NR_MUST_USE;
void nr_clickhouse_close(struct nr_clickhouse *c); /* NULL is fine */

/*
 * As nr_archive_add(). A file of which a beginning is known (by its content,
 * whatever its name) is taken from there on. OUT->segments and stored stay 0.
 * One process at a time adds.
 */
enum nr_err nr_clickhouse_add(struct nr_clickhouse *c, const char *const *paths,
    size_t n, const struct nr_archive_add_options *o,
    struct nr_archive_added *out, struct nr_diag *d) NR_MUST_USE;

/* As nr_archive_hunt(); the block of a line is the checksum of the text it was
 * read with. */
enum nr_err nr_clickhouse_hunt(struct nr_clickhouse *c,
    const struct nr_indicator *const *indicators, size_t n,
    const struct nr_hunt_options *o, struct nr_arena *arena,
    struct nr_answer *v, struct nr_diag *d) NR_MUST_USE;

/* As nr_archive_stat(): files, lines, text, stored, observables, first and
 * last; and days[bit of NR_LOG_*], an array of NR_LOG_KINDS. */
enum nr_err nr_clickhouse_stat(struct nr_clickhouse *c,
    struct nr_archive_stat *out, struct nr_archive_presence *days,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The streams of all lines as an archive of them alone: for nr_coverage_find()
 * and what follows it. *OUT: nr_archive_close.
 */
enum nr_err nr_clickhouse_presence(struct nr_clickhouse *c,
    struct nr_archive **out, struct nr_diag *d) NR_MUST_USE;

#endif
