/*
 * Encryption at rest of an archive (optional).
 *
 * A sealed archive holds a file "sealed" that names its key, and only sealed
 * segments and runs: a header and pages of 8 KiB, each encrypted and
 * authenticated with XChaCha20-Poly1305 under a key of that file alone, derived
 * from the archive's key and a random number of the file. The number of a page,
 * and whether it is the last, are part of its nonce: pages cannot be changed,
 * moved, cut off or exchanged between files unnoticed. That a whole file was
 * replaced by an older one of the same name is not noticed. Names, sizes and
 * times of the files show, and what the lists of holds and of what was dropped
 * say; no log line, no observable, no name of a log file does.
 *
 * An archive is sealed while it is empty, or never. The octets:
 * noroshi-archive(5), SEALED FILES.
 */
#ifndef NR_ARCHIVE_SEAL_H
#define NR_ARCHIVE_SEAL_H

#include "base/env.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

#define NR_ARCHIVE_KEY_FILE   "archive.key" /* in the home of a member */
#define NR_ARCHIVE_KEY_LEN    ((size_t)32)
#define NR_ARCHIVE_KEY_ID_LEN ((size_t)8)

/* A secret: nr_wipe() it. */
struct nr_archive_key {
    uint8_t secret[NR_ARCHIVE_KEY_LEN];
    uint8_t id[NR_ARCHIVE_KEY_ID_LEN]; /* a hash of it: no secret */
    const struct nr_env *env;          /* borrowed: randomness of files */
};

/* Make a key in file PATH, which only its owner may read. NR_EEXIST, NR_ESYS. */
enum nr_err nr_archive_key_make(const char *path, const struct nr_env *env,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The key of the archive in DIR, from file PATH. *SEALED false: it needs none,
 * and PATH is not looked at. NR_ENOTFOUND: no such file; NR_EDENIED: others may
 * read it, or it is another archive's key; NR_EFORMAT, NR_ESYS.
 */
enum nr_err nr_archive_key_for(const char *dir, const char *path,
    const struct nr_env *env, struct nr_archive_key *out, bool *sealed,
    struct nr_diag *d) NR_MUST_USE;

/* Seal the archive in DIR, made if need be, with the key in file PATH, made if
 * need be. NR_EEXIST: it is sealed, or holds segments; NR_EDENIED, NR_EFORMAT,
 * NR_ESYS. */
enum nr_err nr_archive_seal(const char *dir, const char *path,
    const struct nr_env *env, struct nr_diag *d) NR_MUST_USE;

#endif
