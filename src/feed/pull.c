/* Feeds at a path or an address of the web. */
#include "feed/take.h"

#include "base/file.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#define MANIFEST_MEMORY ((size_t)1 << 30)
#define REDIRECTS_MAX   5L

static bool
is_address(const char *at)
{
    return strncmp(at, "http://", 7) == 0 || strncmp(at, "https://", 8) == 0;
}

/* --- one document -------------------------------------------------------- */

struct document {
    struct nr_buf body;
    struct nr_feed_where *w; /* validators to renew; may be NULL */
    char etag[NR_FEED_TAG_MAX], modified[NR_FEED_TAG_MAX];
    long status;
};

static size_t
got_body(char *p, size_t size, size_t n, void *ctx)
{
    struct document *doc = ctx;

    nr_buf_put(&doc->body, (struct nr_bytes){ (const uint8_t *)p, size * n });
    return doc->body.err ? 0 : size * n;
}

/* "Name: value" into OUT when the name is NAME; too long a value is none. */
static void
header(const char *p, size_t n, const char *name, char *out)
{
    size_t skip = strlen(name);

    if (n <= skip || strncasecmp(p, name, skip) != 0)
        return;
    while (skip < n && (p[skip] == ' ' || p[skip] == '\t'))
        skip++;
    while (n > skip && nr_is_space((uint8_t)p[n - 1]))
        n--;
    if (n - skip >= NR_FEED_TAG_MAX)
        return;
    memcpy(out, p + skip, n - skip);
    out[n - skip] = '\0';
}

static size_t
got_header(char *p, size_t size, size_t n, void *ctx)
{
    struct document *doc = ctx;

    header(p, size * n, "etag:", doc->etag);
    header(p, size * n, "last-modified:", doc->modified);
    return size * n;
}

static struct curl_slist *
conditions(const struct nr_feed_where *w)
{
    struct curl_slist *list = NULL;
    char line[NR_FEED_TAG_MAX + 32];

    if (w && w->etag[0]) {
        (void)snprintf(line, sizeof(line), "If-None-Match: %s", w->etag);
        list = curl_slist_append(list, line);
    }
    if (w && w->modified[0]) {
        (void)snprintf(line, sizeof(line), "If-Modified-Since: %s",
            w->modified);
        list = curl_slist_append(list, line);
    }
    return list;
}

static enum nr_err
by_status(const struct document *doc, const char *url, struct nr_diag *d)
{
    if (doc->status == 200 || doc->status == 304)
        return NR_OK;
    if (doc->status == 401 || doc->status == 403)
        return nr_fail_name(d, NR_EDENIED, "feed: the server refuses", url);
    if (doc->status == 404 || doc->status == 410)
        return nr_fail_name(d, NR_ENOTFOUND, "feed: not on the server", url);
    if (doc->status == 429 || doc->status >= 500)
        return nr_fail_name(d, NR_EBUSY,
            "feed: the server is busy or broken; try again later", url);
    return nr_fail_name(d, NR_EFORMAT, "feed: an answer that is no document",
        url);
}

static void
set_up(CURL *c, const char *url, struct document *doc, char *words)
{
    (void)curl_easy_setopt(c, CURLOPT_URL, url);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR,
        strncmp(url, "https:", 6) == 0 ? "https" : "http,https");
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, NR_FEED_CONNECT_S);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT, NR_FEED_FETCH_S);
    (void)curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "noroshi/" NR_VERSION);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, got_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, doc);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, got_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, doc);
}

/* DOC's body is the caller's to fini, whatever is returned. */
static enum nr_err
fetch(const char *url, const struct nr_feed_where *w, struct document *doc,
    struct nr_diag *d)
{
    struct curl_slist *list = conditions(w);
    char words[CURL_ERROR_SIZE] = "", about[NR_DIAG_NAME_MAX];
    CURL *c = curl_easy_init();
    enum nr_err err;
    CURLcode rc;

    if (!c) {
        curl_slist_free_all(list);
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    }
    set_up(c, url, doc, words);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    rc = curl_easy_perform(c);
    if (doc->body.err) {
        err = nr_fail_name(d, doc->body.err,
            "feed: document is longer than 4 GiB, or out of memory", url);
    } else if (rc != CURLE_OK) {
        (void)snprintf(about, sizeof(about), "%.120s: %.100s", url,
            words[0] ? words : curl_easy_strerror(rc));
        err = nr_fail_name(d, NR_ESYS, "feed: cannot fetch", about);
    } else {
        (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &doc->status);
        err = by_status(doc, url, d);
    }
    curl_easy_cleanup(c);
    curl_slist_free_all(list);
    return err;
}

/* --- MISP feeds ---------------------------------------------------------- */

/* Names of files come from outside: only UUIDs become paths. */
static bool
is_uuid(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s.p[i] != '-' : !nr_is_hex((uint8_t)s.p[i]))
            return false;
    }
    return s.n == 36;
}

static enum nr_err
take_event(struct nr_feed *f, const char *base, struct nr_str uuid,
    struct nr_diag *d)
{
    struct document doc = { .status = 0 };
    char path[NR_PATH_MAX], file[64];
    enum nr_err err;

    (void)snprintf(file, sizeof(file), "%.36s.json", uuid.p);
    err = nr_path_join(path, base, file, d);
    if (err)
        return err;
    if (!is_address(base))
        return nr_feed_add_path(f, path, NR_FEED_MISP, d);
    nr_buf_init(&doc.body, NR_FEED_FILE_MAX);
    err = fetch(path, NULL, &doc, d);
    if (!err)
        err = nr_feed_add_bytes(f, path, nr_buf_bytes(&doc.body), NR_FEED_MISP,
            d);
    nr_buf_fini(&doc.body);
    return err;
}

/* BASE is the manifest's folder, without the slash. */
static enum nr_err
take_manifest(struct nr_feed *f, const char *base, struct nr_bytes in,
    struct nr_diag *d)
{
    const struct nr_json *j;
    struct nr_arena a;
    enum nr_err err;
    size_t n = 0;

    nr_arena_init(&a, MANIFEST_MEMORY);
    err = nr_json_parse(&a, in, &j, d);
    if (!err && !nr_json_is(j, NR_JSON_OBJECT))
        err = nr_fail(d, NR_EFORMAT, 0, "misp: the manifest is no object");
    for (const struct nr_json *e = err ? NULL : j->child; e && !err;
         e = e->next) {
        if (!is_uuid(e->key))
            err = nr_fail(d, NR_EFORMAT, e->key_at,
                "misp: the manifest names something that is no UUID");
        else if (++n > NR_FEED_EVENTS_MAX)
            err = nr_fail(d, NR_ELIMIT, e->key_at,
                "misp: the manifest names more than 20000 events");
        else
            err = take_event(f, base, e->key, d);
    }
    if (err)
        nr_diag_add_name(d, base);
    nr_arena_fini(&a);
    return err;
}

/* --- where it is --------------------------------------------------------- */

/* AT without what names the manifest; false: no MISP feed by its address. */
static bool
manifest_base(const char *at, char base[NR_PATH_MAX])
{
    static const char tail[] = "/manifest.json";
    size_t n = strlen(at), t = sizeof(tail) - 1;

    if (n > t && strcmp(at + n - t, tail) == 0)
        n -= t;
    else if (n && at[n - 1] == '/')
        n--;
    else
        return false;
    if (n >= NR_PATH_MAX)
        return false;
    memcpy(base, at, n);
    base[n] = '\0';
    return true;
}

static enum nr_err
pull_address(struct nr_feed *f, struct nr_feed_where *w, bool *unchanged,
    struct nr_diag *d)
{
    char base[NR_PATH_MAX], url[NR_PATH_MAX + 16];
    bool misp = manifest_base(w->at, base);
    struct document doc = { .status = 0 };
    enum nr_err err;

    (void)snprintf(url, sizeof(url), "%s%s", misp ? base : w->at,
        misp ? "/manifest.json" : "");
    nr_buf_init(&doc.body, NR_FEED_FILE_MAX);
    err = fetch(url, w, &doc, d);
    if (err)
        goto out;
    *unchanged = doc.status == 304;
    if (*unchanged)
        goto out;
    err = misp
        ? take_manifest(f, base, nr_buf_bytes(&doc.body), d)
        : nr_feed_add_bytes(f, url, nr_buf_bytes(&doc.body), w->format, d);
    if (err)
        goto out;
    memcpy(w->etag, doc.etag, sizeof(w->etag));
    memcpy(w->modified, doc.modified, sizeof(w->modified));
out:
    nr_buf_fini(&doc.body);
    return err;
}

static enum nr_err
pull_directory(struct nr_feed *f, const char *base, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_bytes in = { 0 };
    struct nr_arena a;
    enum nr_err err;

    nr_arena_init(&a, NR_FEED_FILE_MAX);
    err = nr_path_join(path, base, "manifest.json", d);
    if (!err)
        err = nr_file_read(&a, path, NR_FEED_FILE_MAX / 2, &in, d);
    if (!err)
        err = take_manifest(f, base, in, d);
    nr_arena_fini(&a);
    return err;
}

enum nr_err
nr_feed_pull(struct nr_feed *f, struct nr_feed_where *w, bool *unchanged,
    struct nr_diag *d)
{
    char base[NR_PATH_MAX];
    struct stat st;

    *unchanged = false;
    if (is_address(w->at))
        return pull_address(f, w, unchanged, d);
    if (manifest_base(w->at, base))
        return pull_directory(f, base, d);
    if (stat(w->at, &st) == 0 && S_ISDIR(st.st_mode))
        return pull_directory(f, w->at, d);
    return nr_feed_add_path(f, w->at, w->format, d);
}
