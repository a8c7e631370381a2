/* What stands is asked only of what is new. */
#include "archive/standing.h"

#include "base/ct.h"
#include "member/agent.h"
#include "member/private.h"

#include <unistd.h>

static void
say_problem(void *ctx, const struct nr_diag *d)
{
    nr_agent_log_diag(ctx, d);
}

void
nr_stand_open(struct nr_agent *ag)
{
    char path[NR_PATH_MAX];
    struct nr_diag d = { 0 };
    bool cut = false;
    enum nr_err err = nr_path_join(path, ag->home, NR_HOME_STANDING, &d);

    if (!err)
        err = nr_standing_open(path, true, &ag->standing, &cut, &d);
    if (err == NR_EFORMAT && unlink(path) == 0) {
        /* It can be made anew from archive and answers: nothing is lost. */
        nr_agent_log_diag(ag, &d);
        d = (struct nr_diag){ 0 };
        err = nr_standing_open(path, true, &ag->standing, &cut, &d);
    }
    if (cut)
        nr_agent_log(ag, "standing: its end was not whole; asked anew");
    if (err)
        nr_agent_log_diag(ag, &d);
}

void
nr_stand_close(struct nr_agent *ag)
{
    nr_standing_close(ag->standing);
    ag->standing = NULL;
}

enum nr_err
nr_stand_archive(struct nr_agent *ag, struct nr_archive **out,
    struct nr_diag *d)
{
    struct nr_archive_caller problem = { .say = say_problem, .ctx = ag };
    struct nr_archive_key key = { 0 };
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, ag->home, NR_HOME_ARCHIVE, d);

    if (!err)
        err = nr_agent_key(ag, path, &key, &problem.key, d);
    if (!err)
        err = nr_archive_open(path, NR_ARCHIVE_READ, &problem, out, d);
    nr_wipe(&key, sizeof(key));
    return err;
}

enum nr_err
nr_agent_key(const struct nr_agent *ag, const char *archive,
    struct nr_archive_key *out, const struct nr_archive_key **key,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    bool sealed = false;
    enum nr_err err = nr_path_join(path, ag->home, NR_ARCHIVE_KEY_FILE, d);

    *key = NULL;
    if (!err)
        err = nr_archive_key_for(archive, path, ag->env, out, &sealed, d);
    if (!err && sealed)
        *key = out;
    return err;
}

enum nr_err
nr_stand_hunt(struct nr_agent *ag, struct nr_archive *archive,
    struct nr_arena *a, const struct nr_indicator *const *v, size_t n,
    struct nr_answer *out, struct nr_diag *d)
{
    const struct nr_hunt_options o = { .now_s = nr_env_now_s(ag->env) };
    struct nr_diag why = { 0 };
    enum nr_err err;

    if (!ag->standing)
        return nr_archive_hunt(archive, v, n, &o, a, out, d);
    err = nr_standing_hunt(ag->standing, archive, v, n, o.now_s, a, out, &why);
    if (err == NR_ELIMIT || err == NR_ESYS) {
        /* Its file is full or cannot be written: the answers can. */
        nr_agent_log_diag(ag, &why);
        nr_stand_close(ag);
        return nr_archive_hunt(archive, v, n, &o, a, out, d);
    }
    if (err && d)
        *d = why;
    return err;
}

enum nr_err
nr_stand_begin(struct nr_agent *ag, struct nr_diag *d)
{
    if (!ag->standing)
        nr_stand_open(ag);
    if (ag->standing)
        nr_standing_begin(ag->standing);
    return nr_stand_archive(ag, &ag->archive, d);
}

enum nr_err
nr_stand_end(struct nr_agent *ag, bool round, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    nr_archive_close(ag->archive);
    ag->archive = NULL;
    if (round && ag->standing)
        err = nr_standing_end(ag->standing, d);
    return err;
}
