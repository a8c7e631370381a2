#include "hub/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T true
#define R NR_SCOPE_READ
#define W NR_SCOPE_WRITE

/* TAXII 2.1 section 4 and 5; "/v1" is the hub's own (doc/hub-api.md). */
static const struct nr_route routes[] = {
    { "GET", "taxii2", nr_taxii_discovery, R, T },
    { "GET", "taxii2/root", nr_taxii_root, R, T },
    { "GET", "taxii2/root/status/*", nr_taxii_status, R, T },
    { "GET", "taxii2/root/collections", nr_taxii_collections, R, T },
    { "GET", "taxii2/root/collections/*", nr_taxii_collection, R, T },
    { "GET", "taxii2/root/collections/*/manifest", nr_taxii_manifest, R, T },
    { "GET", "taxii2/root/collections/*/objects", nr_taxii_objects, R, T },
    { "POST", "taxii2/root/collections/*/objects", nr_taxii_post, W, T },
    { "GET", "taxii2/root/collections/*/objects/*", nr_taxii_object, R, T },
    { "GET", "taxii2/root/collections/*/objects/*/versions", nr_taxii_versions,
        R, T },
    { "GET", "v1/hub", nr_get_hub, 0, false },
    { "POST", "v1/join", nr_post_join, 0, false },
    { "GET", "v1/events", nr_get_events, R, false },
    { "POST", "v1/reports", nr_post_reports, W, false },
    { "POST", "v1/answers", nr_post_answers, W, false },
    { "GET", "v1/extent", nr_get_extent, R, false },
    { "GET", "healthz", nr_get_health, 0, false },
    { "GET", "metrics", nr_get_metrics, R, false },
};

#undef T
#undef R
#undef W

static bool
split_path(struct nr_request *q, const char *url)
{
    struct nr_str rest = nr_str_of(url), part;

    while (rest.n > 0) {
        part = nr_str_cut(rest, '/', &rest);
        if (part.n == 0)
            continue;
        if (q->n_parts == NR_PARTS_MAX ||
            !nr_store_dup(&q->arena, part, &q->part[q->n_parts]))
            return false;
        q->n_parts++;
    }
    return true;
}

static bool
matches(const struct nr_request *q, const char *path)
{
    struct nr_str rest = nr_str_of(path), part;
    size_t i = 0;

    while (rest.n > 0) {
        part = nr_str_cut(rest, '/', &rest);
        if (i == q->n_parts ||
            (!nr_str_eq(part, NR_STR("*")) && !nr_str_eq(part, q->part[i])))
            return false;
        i++;
    }
    return i == q->n_parts;
}

static void
find_route(struct nr_request *q, const char *url, const char *method)
{
    const char *allow = NULL;
    bool head = strcmp(method, "HEAD") == 0;

    if (!split_path(q, url))
        q->n_parts = 0;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!matches(q, routes[i].path))
            continue;
        if (strcmp(method, routes[i].method) == 0 ||
            (head && strcmp(routes[i].method, "GET") == 0)) {
            q->route = &routes[i];
            return;
        }
        allow = allow ? "GET, POST" : routes[i].method;
        q->media = routes[i].taxii ? NR_TAXII : NR_JSON_MEDIA;
    }
    if (!allow) {
        nr_reply_error(q, 404, "Not found", "The hub has nothing there.");
        return;
    }
    nr_reply_error(q, 405, "Method not allowed",
        "This resource takes other methods; see Allow.");
    nr_reply_header(q, "Allow", allow);
}

/* One media range of Accept (RFC 9110 section 12.5.1), for TAXII. */
static bool
range_accepts(struct nr_str range)
{
    struct nr_str params, type = nr_str_cut(range, ';', &params);
    struct nr_bytes t = nr_bytes_of(nr_str_trim(type));

    if (nr_bytes_eq(t, NR_BYTES("*/*")) ||
        nr_bytes_eq(t, NR_BYTES("application/*")))
        return true;
    if (!nr_bytes_eq_nocase(t, NR_BYTES("application/taxii+json")))
        return false;
    while (params.n > 0) {
        struct nr_str p = nr_str_trim(nr_str_cut(params, ';', &params));
        struct nr_str value, name = nr_str_cut(p, '=', &value);

        if (nr_bytes_eq_nocase(nr_bytes_of(nr_str_trim(name)),
                NR_BYTES("version")) &&
            !nr_str_eq(nr_str_trim(value), NR_STR("2.1")) &&
            !nr_str_eq(nr_str_trim(value), NR_STR("\"2.1\"")))
            return false;
    }
    return true;
}

static bool
accepts(struct nr_request *q)
{
    struct nr_str rest = nr_str_of(
        MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, "Accept"));

    if (!q->route->taxii || rest.n == 0)
        return true;
    while (rest.n > 0)
        if (range_accepts(nr_str_cut(rest, ',', &rest)))
            return true;
    nr_reply_error(q, 406, "Not acceptable",
        "The hub speaks " NR_TAXII " here.");
    return false;
}

static bool
content_fits(struct nr_request *q)
{
    struct nr_str value = nr_str_of(
        MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, "Content-Type"));
    struct nr_str params, type;

    if (strcmp(q->route->method, "POST") != 0)
        return true;
    type = nr_str_trim(nr_str_cut(value, ';', &params));
    if (q->route->taxii
            ? value.n > 0 && range_accepts(value) &&
                nr_bytes_eq_nocase(nr_bytes_of(type),
                    NR_BYTES("application/taxii+json"))
            : nr_bytes_eq_nocase(nr_bytes_of(type), NR_BYTES(NR_JSON_MEDIA)))
        return true;
    nr_reply_error(q, 415, "Unsupported media type",
        q->route->taxii ? "Send Content-Type: " NR_TAXII "."
                        : "Send Content-Type: " NR_JSON_MEDIA ".");
    return false;
}

static bool
length_fits(struct nr_request *q)
{
    const char *text = MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND,
        "Content-Length");
    uint64_t n = 0;

    if (!text || (nr_str_to_u64(nr_str_of(text), &n) && n <= NR_HUB_BODY_MAX))
        return true;
    nr_reply_error(q, 413, "Too large",
        "The body is larger than 10 MiB; send several.");
    return false;
}

static void
log_reply(struct nr_request *q)
{
    struct nr_server *s = q->server;
    char line[160];

    (void)atomic_fetch_add(&s->metrics.requests[q->status / 100 % 6], 1);
    if (q->status < 500 || !s->conf->log)
        return;
    (void)snprintf(line, sizeof(line), "request /%s answered with %u",
        q->route ? q->route->path : "", q->status);
    s->conf->log(s->conf->ctx, line);
}

static enum MHD_Result
send_reply(struct nr_request *q)
{
    struct MHD_Response *r = q->stream;
    enum MHD_Result result;

    if (!r) {
        r = MHD_create_response_from_buffer(q->reply.n, q->reply.p,
            MHD_RESPMEM_MUST_FREE);
        if (!r)
            return MHD_NO;
        q->reply = (struct nr_buf){ .max = q->reply.max };
    }
    (void)MHD_add_response_header(r, "Content-Type",
        q->media ? q->media : NR_JSON_MEDIA);
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < q->n_headers; i++)
        (void)MHD_add_response_header(r, q->header[i].name, q->header[i].value);
    log_reply(q);
    q->replied = true;
    result = MHD_queue_response(q->conn, q->status, r);
    MHD_destroy_response(r);
    q->stream = NULL;
    return result;
}

static struct nr_request *
create(struct nr_server *s, struct MHD_Connection *conn)
{
    struct nr_request *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->server = s;
    q->conn = conn;
    nr_arena_init(&q->arena, NR_HUB_ARENA_MAX);
    nr_buf_init(&q->body, NR_HUB_BODY_MAX);
    nr_buf_init(&q->reply, NR_HUB_PAGE_OCTETS + NR_HUB_OBJECT_MAX * 2);
    (void)atomic_fetch_add(&s->metrics.active, 1);
    return q;
}

/* The head has arrived: refuse before the body does. */
static enum MHD_Result
head(struct nr_request *q, const char *url, const char *method)
{
    find_route(q, url, method);
    if (q->route)
        q->media = q->route->taxii ? NR_TAXII : NR_JSON_MEDIA;
    if (q->status == 0 && atomic_load(&q->server->closing))
        nr_reply_error(q, 503, "Closing", "The hub is going down; try again.");
    if (q->status == 0 && length_fits(q) && nr_auth(q) && accepts(q))
        (void)content_fits(q);
    /* A body that nobody will read ends the connection. */
    if (q->status == 413)
        return send_reply(q);
    return MHD_YES;
}

static void
take_body(struct nr_request *q, const char *upload, size_t n)
{
    struct nr_server *s = q->server;

    if (q->status != 0)
        return;
    if (atomic_fetch_add(&s->bodies, n) + n > NR_HUB_BODIES_MAX) {
        (void)atomic_fetch_sub(&s->bodies, n);
        nr_reply_error(q, 429, "The hub is full",
            "Too many large requests at once; try again.");
        return;
    }
    q->body_counted += n;
    nr_buf_put(&q->body, (struct nr_bytes){ (const uint8_t *)upload, n });
    if (q->body.err)
        nr_reply_error(q, 413, "Too large",
            "The body is larger than 10 MiB; send several.");
}

enum MHD_Result // NOLINTNEXTLINE(readability-function-size): MHD's
nr_route_access(void *cls, struct MHD_Connection *conn, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state)
{
    struct nr_request *q = *state;

    (void)version;
    if (!q) {
        *state = q = create(cls, conn);
        return q ? head(q, url, method) : MHD_NO;
    }
    if (*upload_len > 0) {
        take_body(q, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    if (q->replied)
        return MHD_YES;
    if (q->status == 0 && !q->run) {
        q->run = true;
        q->route->run(q);
        if (q->waiting)
            return MHD_YES; /* back here when it is durable */
    } else if (q->waiting) {
        q->waiting = false;
        q->finish(q);
    }
    return send_reply(q);
}

void
nr_route_completed(void *cls, struct MHD_Connection *conn, void **state,
    enum MHD_RequestTerminationCode code)
{
    struct nr_request *q = *state;
    struct nr_server *s = cls;

    (void)conn;
    (void)code;
    if (!q)
        return;
    (void)atomic_fetch_sub(&s->bodies, q->body_counted);
    (void)atomic_fetch_sub(&s->metrics.active, 1);
    nr_arena_fini(&q->arena);
    nr_buf_fini(&q->body);
    nr_buf_fini(&q->reply);
    free(q);
    *state = NULL;
}
