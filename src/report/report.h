/*
 * Report: the short form, split in two halves, printed as STIX 2.1.
 *
 * Five questions (domain handbook, report form, stage S): what happened, when
 * noticed, is it still running, the traces, who may see it. The technical half
 * is a bundle of the pseudonymous identity, one `report` and one `indicator`
 * for each trace; the damage half a bundle with one `incident`. Each half has
 * its own marking (TLP 2.0 and PAP). What would tell who reports goes into the
 * damage half only: the summary, the organisation, its contact, and traces of
 * role victim-asset. An own domain or the organisation's name in the technical
 * half is refused.
 *
 * Ids are UUIDv5 of member and content: the same form printed again is the
 * same report, octet for octet.
 *
 * Thread-safety: touches only its arguments.
 */
#ifndef NR_REPORT_H
#define NR_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/date.h"
#include "base/err.h"
#include "base/str.h"
#include "observable/observable.h"
#include "stix/stix.h"
#include "watchlist/watchlist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_REPORT_FORM_MAX   ((size_t)16 << 20) /* octets of a form */
#define NR_REPORT_TEXT_MAX   ((size_t)65535)    /* octets of one text */
#define NR_REPORT_TRACES_MAX ((size_t)10000)    /* observables of a report */
#define NR_REPORT_ID_MAX     ((size_t)64)       /* "report--UUID" with NUL */
#define NR_REPORT_HALF_MAX   ((size_t)64 << 20) /* octets of one half */

/* How exact a time is: what was given of it. */
enum nr_fidelity {
    NR_FIDELITY_UNKNOWN, /* no time at all */
    NR_FIDELITY_YEAR,
    NR_FIDELITY_MONTH,
    NR_FIDELITY_DAY,
    NR_FIDELITY_HOUR,
    NR_FIDELITY_MINUTE,
    NR_FIDELITY_SECOND,
};

const char *nr_fidelity_name(enum nr_fidelity f);

/* "2017", "2017-08", "2017-08-21", "2017-08-21 09", "...T09:00[:00][Z|+09:00]",
 * '/' for '-'; "unknown", "不明" or nothing. A time without zone lies EAST_S
 * seconds east of UTC. NR_EFORMAT. */
enum nr_err nr_report_time_parse(struct nr_str in, int64_t east_s,
    int64_t *time_s, enum nr_fidelity *fidelity, struct nr_diag *d) NR_MUST_USE;

/* A trace of the attack. */
struct nr_trace {
    enum nr_kind kind;
    struct nr_bytes key;
    struct nr_str value; /* canonical text */
    enum nr_role role;
    int64_t first_s, last_s; /* NR_TIME_NONE: unknown */
    uint64_t count;          /* 0: not said */
    struct nr_str comment;
};

struct nr_report_form {
    struct nr_str title;   /* of the technical half; may be empty */
    struct nr_str summary; /* what happened; damage half */
    int64_t discovered_s;
    enum nr_fidelity discovered_fidelity;
    struct nr_str running; /* "yes", "partly", "no", "unknown" */
    int availability;      /* 0..100 percent of service; -1: not said */
    struct nr_trace *traces;
    size_t n_traces;
    enum nr_tlp tlp_tech, tlp_damage;
    enum nr_pap pap;
    struct nr_str identity_scope; /* nobody hub police sector-hub members */
    struct nr_str org, contact;   /* damage half, unless scope is nobody */
    struct nr_str collection;     /* id; may be empty */
};

/* An empty form: amber, damage amber+strict, PAP amber, identity nobody. */
struct nr_report_form nr_report_form_empty(void);

/*
 * Add a trace from text: "[type] value [role]" or a bare value; defanged text
 * is understood. NR_EFORMAT saying what is wrong with which value, NR_ELIMIT,
 * NR_ENOMEM; NR_EEXIST: the form has it already.
 */
enum nr_err nr_report_add_trace(struct nr_arena *a, struct nr_report_form *f,
    struct nr_str text, struct nr_diag *d) NR_MUST_USE;

/*
 * Read a form from JSON:
 * {"title","summary","discovered","running","availability","tlp_tech",
 *  "tlp_damage","pap","identity_scope","org","contact","collection",
 *  "observables":[{"type","value","role","first_seen","last_seen","count",
 *  "comment"}]}; type and everything but value may be missing. A member that is
 * not in this list is refused by name. Everything goes into A. NR_EFORMAT,
 * NR_ELIMIT, NR_ENOMEM.
 */
enum nr_err nr_report_form_parse(struct nr_arena *a, struct nr_bytes in,
    int64_t east_s, struct nr_report_form *out, struct nr_diag *d) NR_MUST_USE;

/* Is the form whole, and its technical half free of what tells who reports?
 * OWN: domains of the home. NR_EFORMAT (something is missing), NR_EDENIED (it
 * would tell), naming what. */
enum nr_err nr_report_check(const struct nr_report_form *f,
    const struct nr_str *own, size_t n_own, struct nr_diag *d) NR_MUST_USE;

struct nr_report_by {
    struct nr_str member; /* "identity--UUID", the pseudonym */
    int64_t created_s;
};

/*
 * Append the body of POST /v1/reports, {"collection","tech","damage"}, to
 * OUT, and write the report's id to ID. The form has been checked.
 * NR_EFORMAT: no collection or member; NR_ELIMIT, NR_ENOMEM.
 */
enum nr_err nr_report_print(const struct nr_report_form *f,
    const struct nr_report_by *by, struct nr_buf *out,
    char id[NR_REPORT_ID_MAX], struct nr_diag *d) NR_MUST_USE;

#endif
