/* The keeper: reads, hunts, answers. It owns no socket and can make none. */
#include "member/agent.h"
#include "member/private.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INBOX_MEMORY ((size_t)64 << 20)
#define INBOX_MAX    ((size_t)1 << 20) /* files of one listing */
#define FAILED_MS    INT64_C(10000)    /* disk full, no memory: try again */
#define SUFFIX       ".json"

struct keeper {
    struct nr_agent *ag;
    struct nr_answer_log log;
    struct nr_sources sources;
    struct nr_upkeep upkeep;
    bool inbox, again;     /* to be done */
    int64_t not_before_ms; /* after a failure */
};

static bool
is_bundle(const char *name)
{
    size_t n = strlen(name), tail = sizeof(SUFFIX) - 1;

    return n > tail && name[0] != '.' && strcmp(name + n - tail, SUFFIX) == 0;
}

static enum nr_err
take_inbox(struct keeper *k, bool *sent, struct nr_diag *d)
{
    char dir[NR_PATH_MAX];
    struct nr_names names = { 0 };
    struct nr_arena a;
    enum nr_err err = nr_path_join(dir, k->ag->home, NR_HOME_INBOX, d);

    nr_arena_init(&a, INBOX_MEMORY);
    if (!err)
        err = nr_dir_list(&a, dir, INBOX_MAX, &names, d);
    for (size_t i = 0; !err && i < names.n; i++)
        if (is_bundle(names.v[i]))
            err = nr_intake_file(k->ag, &k->log, names.v[i], sent, d);
    nr_arena_fini(&a);
    return err;
}

/* Keep the youngest of what was sent, and always the item of the last batch,
 * by whose absence a crash is recognised. Ids begin with their time. */
static void
prune_sent(struct keeper *k)
{
    struct nr_names names = { 0 };
    struct nr_arena a;

    nr_arena_init(&a, INBOX_MEMORY);
    if (nr_outbox_list(&a, k->ag->home, NR_BOX_SENT, &names, NULL) == NR_OK)
        for (size_t i = 0; i + NR_SENT_KEPT < names.n; i++) {
            char path[NR_PATH_MAX];
            int n = snprintf(path, sizeof(path),
                "%s/" NR_HOME_OUTBOX "/sent/%s.json", k->ag->home, names.v[i]);

            if (n > 0 && (size_t)n < sizeof(path) &&
                strcmp(names.v[i], k->log.item) != 0)
                (void)unlink(path);
        }
    nr_arena_fini(&a);
}

/* Do what is due; a failure leaves it due. */
static void
work(struct keeper *k)
{
    struct nr_diag d = { 0 };
    bool sent = false, did = k->inbox || k->again;
    enum nr_err err = NR_OK;

    if (k->inbox)
        err = take_inbox(k, &sent, &d);
    if (!err)
        k->inbox = false;
    if (!err && k->again)
        err = nr_intake_again(k->ag, &k->log, &sent, &d);
    if (!err)
        k->again = false;
    if (sent)
        nr_agent_wake(k->ag->to_courier[1]);
    if (err) {
        nr_agent_log_diag(k->ag, &d);
        k->not_before_ms = nr_agent_clock_ms() + FAILED_MS;
    }
    /* Many agents share a machine: what a hunt took goes back. */
    if (did)
        (void)malloc_trim(0);
}

static int
timeout_of(const struct keeper *k)
{
    int t = nr_sources_timeout(&k->sources);
    int idle = nr_upkeep_timeout(&k->upkeep);
    int64_t left = k->not_before_ms - nr_agent_clock_ms();

    if (!k->inbox && !k->again)
        return t >= 0 && t < idle ? t : idle;
    if (left < 0)
        left = 0;
    return t >= 0 && t < left ? t : (int)left;
}

static void
run(struct keeper *k)
{
    for (;;) {
        struct pollfd fds[] = {
            { .fd = k->ag->to_keeper[0], .events = POLLIN },
            { .fd = k->sources.inotify, .events = POLLIN },
        };
        bool changed = false;

        if (poll(fds, 2, timeout_of(k)) < 0 && errno != EINTR)
            return;
        if (fds[0].revents) {
            nr_agent_drain(k->ag->to_keeper[0]);
            k->inbox = true;
            k->not_before_ms = 0;
        }
        /* What the hub asks comes before what the logs bring. */
        if ((k->inbox || k->again) && nr_agent_clock_ms() >= k->not_before_ms)
            work(k);
        nr_sources_run(k->ag, &k->sources, &changed);
        if (changed) {
            k->again = true;
            k->not_before_ms = 0;
            k->upkeep.due = true;
        }
        if (!k->inbox && !k->again)
            nr_upkeep_run(k->ag, &k->upkeep);
    }
}

static enum nr_err
confine(const struct nr_agent *ag, struct nr_diag *d)
{
    const char *const write[] = { ag->home, NULL };
    const struct nr_sandbox sb = { .promises = NR_SANDBOX_KEEPER,
        .read = ag->source_dirs,
        .write = write,
        .without_landlock = ag->without_landlock };

    return nr_sandbox_enter(&sb, d);
}

int
nr_keeper_main(struct nr_agent *ag)
{
    struct keeper k = { .ag = ag, .inbox = true, .again = true };
    struct nr_diag d = { 0 };
    bool sent = false;
    enum nr_err err;

    if (confine(ag, &d)) {
        nr_agent_log_diag(ag, &d);
        return NR_EXIT_CONFINED;
    }
    nr_agent_announce(ag);
    err = nr_answer_log_open(ag->home, true, &k.log, &d);
    nr_stand_open(ag);
    if (!err) {
        err = nr_answer_recover(ag, &k.log, &sent, &d);
        prune_sent(&k);
        nr_sources_open(ag, &k.sources);
        nr_upkeep_open(&k.upkeep);
        if (sent)
            nr_agent_wake(ag->to_courier[1]);
    }
    if (err)
        nr_agent_log_diag(ag, &d);
    else
        run(&k);
    nr_stand_close(ag);
    nr_answer_log_close(&k.log);
    return 1;
}
