/* A hub's home, opened. Private to the room. */
#ifndef NR_HUB_ADMIN_H
#define NR_HUB_ADMIN_H

#include "base/file.h"
#include "hub/store.h"

struct nr_hub {
    const struct nr_env *env;
    struct nr_db db;
    struct nr_arena arena; /* of one call */
    char home[NR_PATH_MAX];
};

#define NR_HUB_DB   "hub.db"
#define NR_HUB_CERT "hub.pem"
#define NR_HUB_KEY  "hub.key"
#define NR_HUB_LOCK "lock"

#endif
