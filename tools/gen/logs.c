/* gen logs: the driver, one period (a month or a day) of a source at a time. */
#include "plan.h"

#include "cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OUT_FLUSH = 1 << 20, /* octets held back before they are written */
    LINE_ROOM = 65536,   /* no line is longer */
    CONN_HEAD_LINES = 7,
};

/* One run: where every source stands, and the totals. */
struct run {
    struct gen *g;
    const struct job *job;
    struct truth truth;
    struct occ *occ;
    size_t nocc, cursor[S_COUNT];
    struct rng stream[S_COUNT];
    double total[S_COUNT]; /* sum of the weights of all days */
    uint64_t bytes, lines, files;
    char *buf;
};

/* The file being written. */
struct sheet {
    unsigned src;
    char file[128]; /* below logs/ */
    int fd;
    char *o; /* end of what stands in run.buf */
    uint64_t line, written;
};

/* One day of one source: how far it is, and the clock of its lines. */
struct day {
    const unsigned char *hours;
    double hsum, acc, budget, done;
    int hour;
    int64_t start, prev, gap;
};

static const unsigned char HOUR_OFFICE[24] = { 3, 2, 2, 2, 2, 3, 6, 14, 40, 60,
    62, 58, 40, 60, 62, 60, 58, 52, 36, 24, 16, 12, 8, 5 };
static const unsigned char HOUR_FLAT[24] = { 40, 38, 36, 35, 34, 36, 40, 44, 50,
    52, 52, 50, 50, 52, 52, 52, 52, 50, 50, 52, 54, 54, 50, 44 };

static const char CONN_HEAD[] =
    "#separator "
    "\\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#"
    "path\tconn\n"
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_"
    "p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\t"
    "local_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_"
    "bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n"
    "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcoun"
    "t\tcount\tstring\tbool\tbool\tcount\tstring\tcount\tcount\t"
    "count\tcount\tset[string]\n";

static void
make_dir(const char *path)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        gen_die("%s: %s", path, strerror(errno));
}

static void
write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0)
            gen_die("write: %s", strerror(errno));
        p += k;
        n -= (size_t)k;
    }
}

static double
day_weight(int64_t day, int64_t day0, int64_t day1, bool office)
{
    int wd = (int)((day % 7 + 7 + 4) % 7); /* 0 = Sunday */
    double w = (wd == 0 || wd == 6) ? (office ? 0.15 : 0.85) : 1.0;
    return w *
        (1.0 +
            0.35 * (double)(day - day0) /
                (double)(day1 - day0)); /* logs grow */
}

static void
run_init(struct run *run, struct job *job, struct gen *g)
{
    size_t i = 0;

    *run = (struct run){ .g = g, .job = job };
    run->occ = gen_plan(job, &run->nocc);
    run->buf = gen_realloc(NULL, OUT_FLUSH + LINE_ROOM);
    for (size_t s = 0; s < S_COUNT; s++) {
        while (i < run->nocc && run->occ[i].src < s)
            i++;
        run->cursor[s] = i;
        run->stream[s].s = mix64(
            job->seed ^ g->org ^ (s + 1) * 0x9e3779b97f4a7c15u);
        for (int64_t d = job->day0; d < job->day1; d++)
            run->total[s] += day_weight(d, job->day0, job->day1,
                gen_sources[s].office_hours);
    }
    while (g->net.names.len < 64)
        gen_name_new(&g->net);
    gen_pool_tune(&g->net.names);
    gen_pool_tune(&g->net.addrs);
}

static void
make_dirs(const char *dir)
{
    char path[4096];

    make_dir(dir);
    snprintf(path, sizeof path, "%s/logs", dir);
    make_dir(path);
    for (int s = 0; s < S_COUNT; s++) {
        snprintf(path, sizeof path, "%s/logs/%s", dir, gen_sources[s].name);
        make_dir(path);
    }
}

static void
sheet_flush(struct run *run, struct sheet *sh)
{
    size_t n = (size_t)(sh->o - run->buf);

    write_all(sh->fd, run->buf, n);
    sh->written += n;
    sh->o = run->buf;
}

static void
sheet_open(struct run *run, struct sheet *sh, unsigned s, int64_t d)
{
    const char *end = s == S_EVE || s == S_WINEVT ? "json" : "log";
    char path[4096], day[8] = "";
    int y, m, dd;

    gen_civil_from_days(d, &y, &m, &dd);
    if (run->job->daily)
        snprintf(day, sizeof day, "-%02u", (unsigned)dd & 31u);
    snprintf(sh->file, sizeof sh->file, "%s/%s-%04d-%02d%s.%s",
        gen_sources[s].name, gen_sources[s].name, y, m, day, end);
    snprintf(path, sizeof path, "%s/logs/%s", run->job->dir, sh->file);
    sh->src = s;
    sh->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (sh->fd < 0)
        gen_die("%s: %s", path, strerror(errno));
    run->files++;
    sh->o = run->buf;
    sh->line = sh->written = 0;
    if (s == S_CONN) {
        sh->o = LIT(sh->o, CONN_HEAD);
        sh->line = CONN_HEAD_LINES;
    }
    run->g->r = run->stream[s];
    run->g->src = s;
}

static void
sheet_close(struct run *run, struct sheet *sh)
{
    run->stream[sh->src] = run->g->r;
    sheet_flush(run, sh);
    if (close(sh->fd))
        gen_die("%s: %s", sh->file, strerror(errno));
    run->bytes += sh->written;
    run->lines += sh->line;
}

static void
day_init(struct day *w, const struct run *run, unsigned s, int64_t day)
{
    const struct job *job = run->job;
    bool office = gen_sources[s].office_hours;

    *w = (struct day){ .hours = office ? HOUR_OFFICE : HOUR_FLAT };
    for (int i = 0; i < 24; i++)
        w->hsum += w->hours[i];
    w->budget = (double)job->bytes * job->share[s] / 100.0 *
        day_weight(day, job->day0, job->day1, office) / run->total[s];
    w->start = w->prev = (day * 86400 - run->g->tz_min * 60) * USEC;
    w->gap = (int64_t)((double)DAY_US / (w->budget / 180.0 + 1.0));
}

/* The time of the next background line; the next day's when this one's done. */
static int64_t
day_next(struct day *w, struct rng *r)
{
    double f = w->done / (w->budget > 1 ? w->budget : 1), x;
    int64_t t;

    if (f >= 1)
        return w->start + DAY_US;
    while (w->hour < 23 && w->acc + w->hours[w->hour] <= f * w->hsum)
        w->acc += w->hours[w->hour++];
    x = (f * w->hsum - w->acc) / w->hours[w->hour];
    t = w->start + (int64_t)((w->hour + x) * 3600e6);
    t += (int64_t)((double)(rnd(r) >> 32) / 4294967296.0 * (double)w->gap);
    if (t < w->prev)
        t = w->prev;
    if (t >= w->start + DAY_US)
        t = w->start + DAY_US - 1;
    return t;
}

/* The planted line that is due at t on this day, taken off the list. */
static const struct occ *
due(struct run *run, unsigned s, const struct day *w, int64_t t)
{
    const struct occ *oc = &run->occ[run->cursor[s]];

    if (run->cursor[s] == run->nocc || oc->src != s || oc->t > t ||
        oc->t >= w->start + DAY_US)
        return NULL;
    run->cursor[s]++;
    return oc;
}

static void
write_day(struct run *run, struct sheet *sh, int64_t day)
{
    struct gen *g = run->g;
    gen_line *line = gen_sources[sh->src].line;
    struct day w;
    struct obs obs;
    char text[1024];

    day_init(&w, run, sh->src, day);
    for (;;) {
        int64_t t = day_next(&w, &g->r);
        const struct occ *oc = due(run, sh->src, &w, t);
        size_t at;

        if (oc && oc->t < w.start) { /* before the span */
            run->truth.skipped++;
            continue;
        }
        if (oc)
            t = oc->t;
        else if (t == w.start + DAY_US)
            break;
        w.prev = t > w.prev ? t : w.prev;
        if (oc &&
            !gen_stage(g, &run->truth, run->job, oc, sh->file, sh->line + 1,
                text, &obs))
            continue;
        at = (size_t)(sh->o - run->buf);
        gen_set_time(g, t);
        g->host = 0;
        sh->o = line(g, sh->o, t, oc ? &obs : NULL);
        *sh->o++ = '\n';
        sh->line++;
        w.done += (double)((size_t)(sh->o - run->buf) - at);
        if (sh->o > run->buf + OUT_FLUSH)
            sheet_flush(run, sh);
    }
}

/* The first day of the period after the one of day d. */
static int64_t
period_end(const struct job *job, int64_t d)
{
    int64_t end = d + 1;
    int y, m, dd, m2;

    gen_civil_from_days(d, &y, &m, &dd);
    for (; !job->daily && end < job->day1; end++) {
        gen_civil_from_days(end, &y, &m2, &dd);
        if (m2 != m)
            break;
    }
    return end;
}

static int
run_logs(struct job *job, struct gen *g)
{
    struct run run;
    struct sheet sh;

    run_init(&run, job, g);
    make_dirs(job->dir);
    gen_truth_open(&run.truth, job->dir);
    for (int64_t d = job->day0, end; d < job->day1; d = end) {
        end = period_end(job, d);
        for (unsigned s = 0; s < S_COUNT; s++) {
            if (!job->share[s])
                continue;
            sheet_open(&run, &sh, s, d);
            for (int64_t day = d; day < end; day++)
                write_day(&run, &sh, day);
            sheet_close(&run, &sh);
        }
    }
    for (int s = 0; s < S_COUNT; s++)
        while (run.cursor[s] < run.nocc && run.occ[run.cursor[s]].src == s) {
            run.cursor[s]++;
            run.truth.skipped++;
        }
    gen_truth_close(&run.truth, job->dir);
    printf("bytes\t%" PRIu64 "\nlines\t%" PRIu64 "\nfiles\t%" PRIu64
           "\nnames\t%u\naddresses\t%u\nindicators\t%zu\nplanted\t%u\n"
           "truth_rows\t%" PRIu64 "\nnearmiss_rows\t%" PRIu64
           "\nskipped\t%" PRIu64 "\n",
        run.bytes, run.lines, run.files, g->net.names.len, g->net.addrs.len,
        gen_ioc_count(), job->nplant, run.truth.rows, run.truth.near_rows,
        run.truth.skipped + job->unseen);
    return 0;
}

static void
gen_init(struct gen *g, const struct job *job, int argc, char **argv)
{
    const char *tz = gen_opt(argc, argv, "--tz", "+0900");
    long z = *tz ? strtol(tz + 1, NULL, 10) : 0;

    g->tz_min = (int)(z / 100 * 60 + z % 100) * (*tz == '-' ? -1 : 1);
    g->hosts = (uint32_t)strtoul(gen_opt(argc, argv, "--hosts", "2000"), NULL,
        10);
    if (g->hosts < 1 || g->hosts > 60000)
        gen_die("--hosts 1..60000");
    g->org = hash_str(0x6f7267, job->org);
    g->net10 = 10u << 24 | (uint32_t)(g->org & 255) << 16;
    snprintf(g->domain, sizeof g->domain, "%.40s.example", job->org);
    g->net.seed = mix64(job->seed);
    /* 203.0.113.0/24, a documentation range */
    g->public_ip = 0xcb007100u | (uint32_t)(g->org >> 8 & 0xf0);
    g->net.names.c = 3.5;
    g->net.addrs.c = 6.0;
    g->sec = g->day = -1;
    g->boot_us = (uint64_t)((job->day0 - 40) * DAY_US);
}

/* The generator's constants may be no indicators: the truth would miss them. */
static void
check_fixed(const struct gen *g)
{
    static const char *const FIXED[] = { "www.google.com", "www.bing.com",
        "www.baidu.com", "_tcp.dc0._msdcs.example" };

    for (uint32_t i = 0; i < N_OF(FIXED); i++)
        if (gen_hits_any(K_DOMAIN, FIXED[i]))
            gen_die("an indicator hits %s, which background lines contain",
                FIXED[i]);
    if (gen_hits_any(K_DOMAIN, g->domain))
        gen_die("an indicator hits the organisation's own domain %s",
            g->domain);
    for (uint32_t i = 0; i < 65536; i++)
        if (gen_hits_any_ip4(g->net10 | i) ||
            (i < 14 && gen_hits_any_ip4(g->public_ip + i)))
            gen_die("an indicator hits the organisation's own network");
}

int
gen_cmd_logs(int argc, char **argv)
{
    static const char *const known[] = { "--out", "--bytes", "--seed", "--span",
        "--org", "--hosts", "--tz", "--split", "--indicators", "--plant",
        "--decoys", "--sources", NULL };
    const char *ioc, *plants;
    struct job job = { 0 };
    struct gen g = { 0 };

    gen_check_opts(argc, argv, known);
    job.dir = gen_opt(argc, argv, "--out", NULL);
    if (!job.dir)
        gen_die("--out DIR is needed");
    job.bytes = gen_parse_bytes(gen_opt(argc, argv, "--bytes", "100M"));
    job.seed = strtoull(gen_opt(argc, argv, "--seed", "1"), NULL, 10);
    gen_parse_span(gen_opt(argc, argv, "--span", "2016-01-01..2017-12-31"),
        &job.day0, &job.day1);
    job.daily = !strcmp(gen_opt(argc, argv, "--split", "month"), "day");
    job.decoys = (unsigned)strtoul(gen_opt(argc, argv, "--decoys", "2"), NULL,
        10);
    job.org = gen_opt(argc, argv, "--org", "org");
    gen_choose_sources(&job, gen_opt(argc, argv, "--sources", NULL));
    gen_init(&g, &job, argc, argv);
    ioc = gen_opt(argc, argv, "--indicators", NULL);
    plants = gen_opt(argc, argv, "--plant", NULL);
    if (ioc)
        gen_each_tsv(ioc, gen_load_ioc_row, NULL);
    if (plants)
        gen_each_tsv(plants, gen_load_plant_row, &job);
    check_fixed(&g);
    return run_logs(&job, &g);
}
