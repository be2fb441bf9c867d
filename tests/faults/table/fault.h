/*
 * fault.h: what a fault is, in how many combinations it is tried, and what is noted of each.
 */
#ifndef APERTIS_FAULT_H
#define APERTIS_FAULT_H

#include "story.h"

/* ---- The combinations ---------------------------------------------------------- */

enum { FORMATS = 3, CHAT_COMPLETIONS = 1, RESPONSES = 2, MESSAGES = 4, ALL_FORMATS = 7 };

/* How the answer is asked for. WHOLE: apertis_client_chat. JSON: a stream was asked for and one piece came. */
typedef enum asking { WHOLE, STREAM, JSON, ASKINGS } asking;
typedef enum delivery { BLOCKING, PULL, PUMP, THREAD, DELIVERIES } delivery;

/* Answers in one piece come by a blocking call, or as JSON instead of the stream by the other deliveries. */
static inline asking asking_of(int streamed, delivery by) { return streamed ? STREAM : by == BLOCKING ? WHOLE : JSON; }

/* ---- What is expected ------------------------------------------------------------ */

/* The answer where nothing goes wrong, and the parts of it that are whole before a fault. */
#define ALL "w1\xE2\x82\xAC w2\xE2\x82\xAC w3\xE2\x82\xAC w4\xE2\x82\xAC w5\xE2\x82\xAC w6\xE2\x82\xAC"
#define FOUR "w1\xE2\x82\xAC w2\xE2\x82\xAC w3\xE2\x82\xAC w4\xE2\x82\xAC"
#define THREE "w1\xE2\x82\xAC w2\xE2\x82\xAC w3\xE2\x82\xAC"
#define NOTHING ""

/* END, in the words of apertis.h. `http` ANY: not looked at. `code` is that of the OpenAI formats: errors of Messages have a
   type, and none is expected there. */
typedef struct outcome {
    int32_t status;
    int32_t http;
    const char *code;
    int32_t retryable;
    int32_t attempts;
    const char *text;
    const char *says;           /* stands in the error's message; NULL: not looked at */
} outcome;
#define ANY (-1)

/* Where a fault's requests go. NO_HTTP is the raw server too, by a client that never got a head: where one came before, a
   connection that sends nonsense counts as one that died, and is replaced once. */
typedef enum where { GATEWAY, CLOSED_PORT, FULL_PORT, RAW_SERVER, NO_HTTP, PLACES } where;

typedef struct fault {
    const char *name;
    /* For x-gateway, behind "say=ALL"; what stands in braces is filled in by cut.c. For the raw server: its answer's name. */
    const char *script;
    outcome stream, whole;
    where to;
    int formats;                /* a sum of those above; 0: all */
    int once;                   /* too large for every combination: one delivery, see the table */
    int only;                   /* 1: only streamed, 2: only by apertis_client_chat */
    int64_t connect, first_event, idle, total;      /* time limits in ms; 0: one that is far */
    int64_t least;              /* it must take so many ms */
    int64_t retry_after;        /* of the error, in ms; 0: it said nothing. FOREVER: any time above two minutes */
    int calls;                  /* tool calls in the response and as events */
    int requests;               /* in the gateway's log, where they are not the attempts */
} fault;
#define FOREVER (-2)

extern const fault faults[];
extern const size_t fault_count;

/* ---- One combination ---------------------------------------------------------------- */

typedef struct trial {
    const fault *fault;
    int streamed;
    delivery by;
    int format;                 /* 0 to 2 */
    int number;                 /* of its key */
    int skipped;
    const char *verdict;        /* NULL: as expected */
    outcome saw;
    int64_t took;
    int64_t retry_after;
    int calls;
} trial;

/* ---- The parts of the program --------------------------------------------------------- */

/* cut.c: learns where the faults' places are on the wire; then a script with its places filled in. */
void cut_learn(apertis_client *client);
const char *cut_script(const fault *one, int format, asking as, int number);
const char *cut_key(int number);

/* ways.c: sends the request in its way and notes what came. */
void ways_run(trial *one, apertis_client *client, apertis_request *request);

#endif
