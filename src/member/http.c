/*
 * The HTTP client: one easy handle for exchanges, which keeps its connection,
 * and one multi handle for the event stream, so that the courier can wait for
 * the stream and for the keeper's pipe at once without a thread.
 */
#include "member/member.h"
#include "member/private.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define USER_AGENT "noroshi/" NR_VERSION
#define TEXT_MAX   ((size_t)512)

struct stream {
    CURL *easy; /* NULL: none */
    struct nr_events events;
    struct nr_buf refusal; /* body of an answer that is no stream */
    void (*got)(void *ctx, const struct nr_http_event *ev);
    void *ctx;
    enum nr_err err; /* of the parser */
    int64_t heard_ms;
};

struct nr_http {
    char *base, *ca_file, *pin;
    struct curl_slist *json, *resolve; /* of the stream; addresses */
    char *bearer;                      /* "Authorization: ..." */
    CURL *easy;
    CURLM *multi;
    struct stream stream;
    char words[CURL_ERROR_SIZE];
};

static int64_t
monotonic_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum nr_err
nr_http_init(struct nr_diag *d)
{
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        return nr_fail(d, NR_ESYS, 0, "http: libcurl does not start");
    return NR_OK;
}

static char *
copy_text(const char *s)
{
    return s ? strdup(s) : NULL;
}

static bool
set_common(struct nr_http *h, CURL *c)
{
    bool ok = c != NULL;

    ok = ok && !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    ok = ok && !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    ok = ok && !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    ok = ok && !curl_easy_setopt(c, CURLOPT_PROXY, "");
    ok = ok && !curl_easy_setopt(c, CURLOPT_USERAGENT, USER_AGENT);
    ok = ok && !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->words);
    ok = ok && !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, NR_HTTP_CONNECT_S);
    ok = ok && !curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    ok = ok && !curl_easy_setopt(c, CURLOPT_RESOLVE, h->resolve);
    /* The pin names the hub's very key, so the name in the certificate adds
     * nothing (and a hub may move to another address). */
    ok = ok && !curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    ok = ok &&
        !curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, h->ca_file ? 1L : 0L);
    if (h->ca_file) /* else the system's: ten times slower to load */
        ok = ok && !curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
    ok = ok && !curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    if (h->pin)
        ok = ok && !curl_easy_setopt(c, CURLOPT_PINNEDPUBLICKEY, h->pin);
    return ok;
}

enum nr_err
nr_http_create(const struct nr_http_conf *conf, struct nr_http **out,
    struct nr_diag *d)
{
    struct nr_http *h;
    char text[TEXT_MAX];
    bool ok;

    if (!conf->ca_file && !conf->pin)
        return nr_fail(d, NR_EDENIED, 0,
            "http: neither certificate nor pin to know the hub by");
    h = calloc(1, sizeof(*h));
    if (!h)
        return nr_fail(d, NR_ENOMEM, 0, "http: no memory");
    h->base = copy_text(conf->base);
    h->ca_file = copy_text(conf->ca_file);
    ok = h->base && (!conf->ca_file || h->ca_file);
    if (conf->pin) {
        nr_text_cut(text, sizeof(text), "sha256//%s", conf->pin);
        h->pin = copy_text(text);
        ok = ok && h->pin;
    }
    if (conf->bearer) {
        int n = snprintf(text, sizeof(text), "Authorization: Bearer %s",
            conf->bearer);

        h->bearer = n > 0 && (size_t)n < sizeof(text) ? copy_text(text) : NULL;
        ok = ok && h->bearer;
    }
    if (conf->resolve) {
        h->resolve = curl_slist_append(NULL, conf->resolve);
        ok = ok && h->resolve;
    }
    h->easy = curl_easy_init();
    if (!ok || !set_common(h, h->easy)) {
        nr_http_destroy(h);
        return nr_fail(d, NR_ENOMEM, 0, "http: the client cannot be made");
    }
    *out = h;
    return NR_OK;
}

void
nr_http_destroy(struct nr_http *h)
{
    if (!h)
        return;
    nr_http_stream_stop(h);
    curl_easy_cleanup(h->easy);
    if (h->multi)
        curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->resolve);
    free(h->base);
    free(h->ca_file);
    free(h->pin);
    free(h->bearer);
    free(h);
}

void
nr_http_response_fini(struct nr_http_response *r)
{
    nr_buf_fini(&r->body);
}

static size_t // NOLINTNEXTLINE(readability-non-const-parameter): curl
on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct nr_http_response *r = ctx;

    nr_buf_put(&r->body, (struct nr_bytes){ (uint8_t *)p, size * n });
    return r->body.err ? 0 : size * n;
}

static bool
header_is(struct nr_str *line, struct nr_str name)
{
    struct nr_bytes head;

    if (line->n <= name.n || line->p[name.n] != ':')
        return false;
    head = nr_bytes_sub(nr_bytes_of(*line), 0, name.n);
    if (!nr_bytes_eq_nocase(head, nr_bytes_of(name)))
        return false;
    *line = nr_str_trim(
        (struct nr_str){ line->p + name.n + 1, line->n - name.n - 1 });
    return true;
}

static size_t // NOLINTNEXTLINE(readability-non-const-parameter): curl
on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct nr_http_response *r = ctx;
    struct nr_str line;
    uint64_t v;

    if (!nr_str_from_utf8((struct nr_bytes){ (uint8_t *)p, size * n }, &line))
        return size * n;
    line = nr_str_trim(line);
    if (header_is(&line, NR_STR("Retry-After")) && nr_str_to_u64(line, &v))
        r->retry_after_s = v < INT32_MAX ? (int64_t)v : INT32_MAX;
    else if (header_is(&line, NR_STR("X-TAXII-Date-Added-Last")))
        nr_copy_cut(r->added_last, sizeof(r->added_last), line);
    return size * n;
}

/* The header lines of a request; NULL: no memory. */
static struct curl_slist *
header_list(const struct nr_http *h, const char *accept, const char *type)
{
    char text[TEXT_MAX];
    struct curl_slist *list, *next;

    nr_text_cut(text, sizeof(text), "Accept: %s",
        accept ? accept : "application/json");
    list = curl_slist_append(NULL, text);
    nr_text_cut(text, sizeof(text), "Content-Type: %s",
        type ? type : "application/json");
    next = list ? curl_slist_append(list, text) : NULL;
    /* No pause for "100 Continue": the body is small or the answer sure. */
    next = next ? curl_slist_append(list, "Expect:") : NULL;
    if (next && h->bearer)
        next = curl_slist_append(list, h->bearer);
    if (next)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

static enum nr_err
no_answer(const struct nr_http *h, CURLcode code, struct nr_diag *d)
{
    char name[NR_DIAG_NAME_MAX];

    nr_text_cut(name, sizeof(name), "%s: %s", h->base,
        h->words[0] ? h->words : curl_easy_strerror(code));
    if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        return nr_fail_name(d, NR_ESYS,
            "hub: its certificate is not the pinned one; do not trust it",
            h->base);
    return nr_fail_name(d, NR_ESYS, "hub: no answer", name);
}

enum nr_err
nr_http_exchange(struct nr_http *h, const struct nr_http_request *req,
    struct nr_http_response *out, struct nr_diag *d)
{
    char url[NR_PATH_MAX];
    struct curl_slist *list = header_list(h, req->accept, req->type);
    int n = snprintf(url, sizeof(url), "%s%s", h->base, req->path);
    CURL *c = h->easy;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    bool post = strcmp(req->method, "POST") == 0, ok = list != NULL;

    nr_buf_fini(&out->body);
    *out = (struct nr_http_response){ 0 };
    nr_buf_init(&out->body, req->max ? req->max : NR_HTTP_BODY_MAX);
    h->words[0] = 0;
    ok = ok && n > 0 && (size_t)n < sizeof(url);
    ok = ok && !curl_easy_setopt(c, CURLOPT_URL, url);
    ok = ok && !curl_easy_setopt(c, CURLOPT_TIMEOUT, NR_HTTP_REQUEST_S);
    ok = ok && !curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    ok = ok && !curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, NR_HTTP_STALL_S);
    ok = ok && !curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    ok = ok && !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    ok = ok && !curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
    ok = ok && !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    ok = ok && !curl_easy_setopt(c, CURLOPT_HEADERDATA, out);
    if (post) {
        ok = ok &&
            !curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                (curl_off_t)req->body.n);
        ok = ok &&
            !curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                req->body.n ? (const char *)req->body.p : "");
        ok = ok && !curl_easy_setopt(c, CURLOPT_POST, 1L);
    } else {
        ok = ok && !curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    }
    if (ok)
        code = curl_easy_perform(c);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(list);
    if (!ok)
        return nr_fail_name(d, NR_ENOMEM, "http: no memory", h->base);
    if (out->body.err)
        return nr_fail_name(d, out->body.err,
            "hub: its answer is longer than the limit", req->path);
    if (code != CURLE_OK)
        return no_answer(h, code, d);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &out->status);
    return NR_OK;
}

static enum nr_err
err_of_status(long status)
{
    if (status >= 200 && status <= 299)
        return NR_OK;
    if (status == 401 || status == 403)
        return NR_EDENIED;
    if (status == 404)
        return NR_ENOTFOUND;
    if (status == 408 || status == 429 || status >= 500)
        return NR_EBUSY;
    return NR_EFORMAT;
}

static enum nr_err
check_status(long status, struct nr_bytes body, struct nr_diag *d)
{
    struct nr_str title = { "", 0 }, more = { "", 0 };
    char name[NR_DIAG_NAME_MAX];
    const struct nr_json *j = NULL;
    struct nr_arena a;
    enum nr_err err = err_of_status(status);

    if (!err)
        return NR_OK;
    nr_arena_init(&a, NR_SMALL_MEMORY);
    if (body.n <= NR_SMALL_FILE && !nr_json_parse(&a, body, &j, NULL)) {
        (void)nr_json_get_str(j, NR_STR("title"), &title);
        (void)nr_json_get_str(j, NR_STR("description"), &more);
    }
    nr_text_cut(name, sizeof(name), "%ld %.*s%s%.*s", status, NR_FMT(title),
        more.n ? ": " : "", NR_FMT(more));
    nr_arena_fini(&a);
    return nr_fail_name(d, err,
        err == NR_EDENIED     ? "hub: refuses this key"
            : err == NR_EBUSY ? "hub: cannot answer now"
                              : "hub: refuses the request",
        name);
}

enum nr_err
nr_http_check(const struct nr_http_response *r, struct nr_diag *d)
{
    return check_status(r->status, nr_buf_bytes(&r->body), d);
}

/* --- the event stream --- */

static long
status_of(CURL *c)
{
    long status = 0;

    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t // NOLINTNEXTLINE(readability-non-const-parameter): curl
on_stream(char *p, size_t size, size_t n, void *ctx)
{
    struct stream *s = ctx;
    struct nr_bytes in = { (uint8_t *)p, size * n };

    s->heard_ms = monotonic_ms();
    if (status_of(s->easy) != 200) {
        nr_buf_put(&s->refusal, in);
        return in.n;
    }
    s->err = nr_events_feed(&s->events, in, s->got, s->ctx);
    return s->err ? 0 : in.n;
}

enum nr_err
nr_http_stream_start(struct nr_http *h, const char *path,
    void (*got)(void *ctx, const struct nr_http_event *ev), void *ctx,
    struct nr_diag *d)
{
    char url[NR_PATH_MAX];
    struct stream *s = &h->stream;
    int n = snprintf(url, sizeof(url), "%s%s", h->base, path);
    bool ok = n > 0 && (size_t)n < sizeof(url);

    nr_http_stream_stop(h);
    if (!h->multi)
        h->multi = curl_multi_init();
    h->json = header_list(h, "text/event-stream", NULL);
    s->easy = curl_easy_init();
    s->got = got;
    s->ctx = ctx;
    s->err = NR_OK;
    s->heard_ms = monotonic_ms();
    nr_events_init(&s->events);
    nr_buf_init(&s->refusal, NR_SMALL_FILE);
    h->words[0] = 0;
    ok = ok && h->multi && h->json && set_common(h, s->easy);
    ok = ok && !curl_easy_setopt(s->easy, CURLOPT_URL, url);
    ok = ok && !curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, h->json);
    ok = ok && !curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_stream);
    ok = ok && !curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    ok = ok && !curl_multi_add_handle(h->multi, s->easy);
    if (ok)
        return NR_OK;
    curl_easy_cleanup(s->easy);
    s->easy = NULL;
    return nr_fail(d, NR_ENOMEM, 0, "http: the stream cannot be made");
}

void
nr_http_stream_stop(struct nr_http *h)
{
    struct stream *s = &h->stream;

    if (s->easy) {
        (void)curl_multi_remove_handle(h->multi, s->easy);
        curl_easy_cleanup(s->easy);
    }
    s->easy = NULL;
    nr_events_fini(&s->events);
    nr_buf_fini(&s->refusal);
    curl_slist_free_all(h->json);
    h->json = NULL;
}

/* Why the stream ended; NR_OK: it has not. */
static enum nr_err
stream_end(struct nr_http *h, struct nr_diag *d)
{
    struct stream *s = &h->stream;
    int left = 0;
    const CURLMsg *m = curl_multi_info_read(h->multi, &left);
    enum nr_err err = NR_OK;

    if (s->err) {
        err = nr_fail(d, s->err, 0, "hub: an event is longer than the limit");
    } else if (m && m->msg == CURLMSG_DONE) {
        if (m->data.result != CURLE_OK)
            err = no_answer(h, m->data.result, d);
        else
            err = check_status(status_of(s->easy), nr_buf_bytes(&s->refusal),
                d);
        if (!err)
            err = nr_fail(d, NR_ESYS, 0, "hub: the event stream ended");
    } else if (monotonic_ms() - s->heard_ms > NR_HTTP_SILENCE_S * 1000) {
        err = nr_fail(d, NR_ESYS, 0,
            "hub: the event stream is silent, not even a heartbeat");
    }
    if (err)
        nr_http_stream_stop(h);
    return err;
}

enum nr_err
nr_http_wait(struct nr_http *h, int fd, int timeout_ms, bool *readable,
    struct nr_diag *d)
{
    struct curl_waitfd extra = { .fd = fd, .events = CURL_WAIT_POLLIN };
    int running = 0, ready = 0;
    enum nr_err err;

    *readable = false;
    if (!h->multi)
        h->multi = curl_multi_init();
    if (!h->multi)
        return nr_fail(d, NR_ENOMEM, 0, "http: no memory");
    if (h->stream.easy) {
        (void)curl_multi_perform(h->multi, &running);
        err = stream_end(h, d);
        if (err)
            return err;
    }
    if (curl_multi_poll(h->multi, &extra, fd >= 0, timeout_ms, &ready) !=
        CURLM_OK)
        return nr_fail(d, NR_ESYS, 0, "http: cannot wait");
    *readable = (extra.revents & (CURL_WAIT_POLLIN | CURL_WAIT_POLLPRI)) != 0;
    if (!h->stream.easy)
        return NR_OK;
    (void)curl_multi_perform(h->multi, &running);
    return stream_end(h, d);
}
