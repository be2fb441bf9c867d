/*
 * log.h: the gateway's log as a witness of when which request arrived.
 */
#ifndef APERTIS_LOG_H
#define APERTIS_LOG_H

#include "story.h"

/* No more requests than these are looked at for each key. */
enum { MOST_SENT = 64 };

/* The requests with one key. */
typedef struct sent {
    int count;
    int64_t at[MOST_SENT];      /* ms since the gateway started */
    long connection[MOST_SENT];
} sent;

/* Fetches the log once and sorts it by the number behind "PREFIX-" in the keys, from 0 to `keys` - 1. */
static inline sent *log_read(const char *prefix, size_t keys) {
    sent *all = (sent *)story_keep(calloc(keys, sizeof *all));
    const char *log = story_http_get("/_log"), *at = log;
    const char *before = story_format(",\"key\":\"%s-", prefix);
    while ((at = strstr(at, before)) != NULL) {
        size_t key = strtoul(at + strlen(before), NULL, 10);
        const char *time = at;
        long connection = -1;
        while (time > log && strncmp(time, "\"t_ms\":", 7) != 0) time--;
        CHECK(sscanf(time, "\"t_ms\":%*d,\"connection\":%ld", &connection) == 1);
        at += strlen(before);
        if (key >= keys || all[key].count == MOST_SENT) continue;
        all[key].connection[all[key].count] = connection;
        all[key].at[all[key].count++] = strtol(time + 7, NULL, 10);
    }
    return all;
}

#endif
