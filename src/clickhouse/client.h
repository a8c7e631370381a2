/* The HTTP interface of a server. Private to the room. */
#ifndef NR_CLICKHOUSE_CLIENT_H
#define NR_CLICKHOUSE_CLIENT_H

#include "base/buf.h"
#include "clickhouse/clickhouse.h"

#include <curl/curl.h>

#define ADDRESS_MAX  1024u
#define PASSWORD_MAX ((size_t)512) /* octets of its file */

struct nr_clickhouse {
    char text[ADDRESS_MAX]; /* the address; the views below point into it */
    const char *host[NR_CLICKHOUSE_HOSTS];
    size_t hosts;
    const char *user, *password, *database, *cluster; /* NULL: none */
    const char *ca, *password_file;
    char secret[PASSWORD_MAX + 1]; /* what the file holds */
    bool tls;
    CURL *curl;
    struct curl_slist *headers;
    struct nr_buf reply;
};

/* A table sent along with a query. */
struct external {
    const char *name, *structure;
    struct nr_bytes rows; /* RowBinary */
};

/* Run SQL on the first host; the answer is in c->reply. */
enum nr_err client_query(struct nr_clickhouse *c, const char *sql,
    const struct external *v, size_t n, struct nr_diag *d) NR_MUST_USE;
/* The same on host AT, in no database if BARE. */
enum nr_err client_do(struct nr_clickhouse *c, size_t at, bool bare,
    const char *sql, struct nr_diag *d) NR_MUST_USE;
/* INSERT ... FORMAT RowBinary of ROWS. */
enum nr_err client_insert(struct nr_clickhouse *c, const char *sql,
    struct nr_bytes rows, struct nr_diag *d) NR_MUST_USE;

/* RowBinary strings. */
void put_string(struct nr_buf *b, struct nr_bytes s);
struct nr_cur;
struct nr_bytes get_string(struct nr_cur *c);

/* How an observable stands in noroshi_seen: kind, fp, key. False: not kept. */
bool row_of(unsigned kind, struct nr_bytes key, uint64_t *fp);

#endif
