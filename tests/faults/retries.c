/*
 * Whether and when another attempt is made, with the gateway's log as the witness.
 *
 * Every status x every header that speaks of trying again x how many retries are allowed: a model of the documented rules,
 * a dozen lines below, says how many requests there are and how far they are apart. Then sequences of failures drawn at
 * random, and what bounds and ends the waits.
 */
#include "log.h"

/* A wait may be longer than it should by this on a busy machine, and never shorter. */
#define SLACK 8000

/* ---- The model ------------------------------------------------------------------- */

typedef struct advice {
    const char *script;
    double seconds;             /* the wait that it asks for; 0: none, or none that can be used */
    int too_long;               /* above 120 s */
    int should;                 /* x-should-retry: 1 true, -1 false */
    int quota;                  /* the body says that there is nothing left */
} advice;

static const advice advices[] = {
    { "", 0, 0, 0, 0 },
    { ";retry_after=0.2", 0.2, 0, 0, 0 },
    { ";retry_after=1", 1, 0, 0, 0 },
    { ";retry_after_ms=150", 0.15, 0, 0, 0 },
    { ";retry_after_ms=250;retry_after=100", 0.25, 0, 0, 0 },
    { ";retry_after_ms=soon;retry_after=0.3", 0.3, 0, 0, 0 },
    { ";retry_after_ms=0;retry_after=100", 0, 0, 0, 0 },
    { ";retry_after=0", 0, 0, 0, 0 },
    { ";retry_after=-1", 0, 0, 0, 0 },
    { ";retry_after=nan", 0, 0, 0, 0 },
    { ";retry_after=Mon, 01 Jan 2001 00:00:00 GMT", 0, 0, 0, 0 },
    { ";retry_after=121", 121, 1, 0, 0 },
    { ";retry_after=1e999", 1e9, 1, 0, 0 },
    { ";retry_after=Thu, 31 Dec 2099 00:00:00 GMT", 1e9, 1, 0, 0 },
    { ";should_retry=true", 0, 0, 1, 0 },
    { ";should_retry=false", 0, 0, -1, 0 },
    { ";should_retry=maybe", 0, 0, 0, 0 },
    { ";should_retry=true;retry_after_ms=100", 0.1, 0, 1, 0 },
    { ";should_retry=true;retry_after=121", 121, 1, 1, 0 },
    { ";error=insufficient_quota:insufficient_quota:Nothing left", 0, 0, 0, 1 },
    { ";should_retry=true;retry_after=0.1;error=insufficient_quota:insufficient_quota:Nothing left", 0.1, 0, 1, 1 },
};
enum { ADVICES = sizeof advices / sizeof *advices };

static const int statuses[] = { 400, 401, 402, 403, 404, 405, 408, 409, 413, 422, 425, 429, 500, 501, 502, 503, 504, 529, 599 };
enum { STATUSES = sizeof statuses / sizeof *statuses, RETRIES = 3 };

static int passes(int status) { return status == 408 || status == 409 || status == 429 || status >= 500; }

/* Quota and key errors never are; a server that names a time beyond two minutes is not asked again by us. */
static int is_retried(int status, const advice *of) {
    int account = of->quota && status < 500 && status != 404 && status != 408;
    if (status == 401 || status == 402 || status == 403 || account || of->too_long) return 0;
    return of->should ? of->should > 0 : passes(status);
}

/* The bounds of the wait behind attempt number `attempt`, from 1, in ms. */
static void bounds(int attempt, double asked, int64_t *least, int64_t *most) {
    double full = 0.5;
    while (--attempt > 0 && full < 8) full *= 2;
    *least = (int64_t)(asked > 0 ? asked * 1000 : full * 750);
    *most = (int64_t)(asked > 0 ? asked * 1000 : full * 1000) + SLACK;
}

/* ---- One stream, noted ------------------------------------------------------------- */

typedef struct noted {
    story_tally *tally;
    apertis_stream *stream;
    int32_t attempts, http;
    int retries, wrong;
} noted;

static void on_event(void *user_data, const apertis_event *event) {
    noted *into = (noted *)user_data;
    const apertis_error *error = apertis_event_error(event);
    if (apertis_event_kind_of(event) == APERTIS_EVENT_RETRY) {
        into->retries++;
        into->wrong |= apertis_error_attempts(error) != into->retries || !apertis_error_is_retryable(error);
    }
    if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
        into->attempts = apertis_response_attempts(apertis_event_response(event));
        into->http = apertis_error_http_status(error);
        into->wrong |= error && apertis_error_attempts(error) != into->attempts;
    }
    story_tally_add(into->tally, event);
}

static void start(noted *into, apertis_client *client, apertis_queue *queue, const char *script, int64_t total) {
    apertis_request *request = story_request(script, "Hello");
    apertis_error *error = NULL;
    memset(into, 0, sizeof *into);
    into->tally = story_tally_new();
    if (total) CHECK_STATUS(apertis_request_set_timeout(request, APERTIS_TIMEOUT_TOTAL, total), APERTIS_OK);
    CHECK_OK(apertis_client_start_on(client, request, queue, on_event, into, NULL, &into->stream, &error), error);
    apertis_request_free(request);
}

static void finish(noted *of) {
    story_await(of->tally, APERTIS_EVENT_END, 1);
    apertis_stream_free(of->stream);
    CHECK_INT(of->tally->kinds[APERTIS_EVENT_END], 1);
    /* One for each retry, and one whose retry never came where a wait was ended. */
    if (of->tally->status != APERTIS_ERROR_TIMED_OUT && of->tally->status != APERTIS_ERROR_CANCELLED && of->tally->status != APERTIS_ERROR_SHUTDOWN)
        CHECK_INT(of->retries, of->attempts - 1);
    CHECK(of->retries == of->attempts - 1 || of->retries == of->attempts);
    CHECK_INT(of->wrong, 0);
}

static void done(noted *of) { story_tally_free(of->tally); }

/* ---- The property: every status, every advice, every number of retries ---------------- */

static int checks;

static void every_combination(apertis_queue *queue) {
    enum { ALL = STATUSES * ADVICES * RETRIES };
    noted *all = (noted *)story_keep(calloc(ALL, sizeof *all));
    apertis_client *clients[RETRIES];
    const sent *seen;
    int index, retries;
    for (retries = 0; retries < RETRIES; retries++) clients[retries] = story_retrying_client(retries);
    for (index = 0; index < ALL; index++)
        start(&all[index], clients[index % RETRIES], queue,
              story_format("key=rule-%d;status=%d%s", index, statuses[index / RETRIES % STATUSES], advices[index / RETRIES / STATUSES].script), 0);
    for (index = 0; index < ALL; index++) finish(&all[index]);
    seen = log_read("rule", ALL);
    for (index = 0; index < ALL; index++) {
        const advice *of = &advices[index / RETRIES / STATUSES];
        int status = statuses[index / RETRIES % STATUSES], allowed = index % RETRIES, attempt;
        int expected = is_retried(status, of) ? 1 + allowed : 1;
        if (seen[index].count != expected || all[index].attempts != expected || all[index].http != status)
            story_fail(__FILE__, __LINE__, "status=%d%s, %d retries: expected %d requests, saw %d, attempts %d, HTTP %d", status, of->script, allowed,
                       expected, seen[index].count, (int)all[index].attempts, (int)all[index].http);
        for (attempt = 1; attempt < expected; attempt++) {
            int64_t least, most, took = seen[index].at[attempt] - seen[index].at[attempt - 1];
            bounds(attempt, of->seconds, &least, &most);
            if (took < least - 1 || took > most)
                story_fail(__FILE__, __LINE__, "status=%d%s: wait %d took %ld ms, and must be %ld to %ld", status, of->script, attempt, (long)took, (long)least, (long)most);
        }
        done(&all[index]);
        checks++;
    }
    for (retries = 0; retries < RETRIES; retries++) apertis_client_free(clients[retries]);
    printf("%4d combinations of status, headers and retries\n", ALL);
}

/* ---- Sequences drawn at random ---------------------------------------------------------- */

static unsigned long drawn;
static unsigned draw(unsigned below) {
    drawn = (drawn * 1103515245UL + 12345UL) & 0x7fffffffUL;
    return (unsigned)(drawn >> 8) % below;
}

/* Failures in a row, 0 a connection that is closed, then success: the first that is final or one too many ends it. */
static void random_sequences(apertis_queue *queue) {
    enum { COUNT = 150, LONGEST = 6 };
    static const int pool[] = { 0, 408, 409, 429, 500, 502, 503, 529, 400, 404 };
    noted *all = (noted *)story_keep(calloc(COUNT, sizeof *all));
    int *expected = (int *)story_keep(calloc(COUNT, sizeof *expected)), *last = (int *)story_keep(calloc(COUNT, sizeof *last));
    apertis_client *clients[4];
    const char **scripts = (const char **)story_keep(calloc(COUNT, sizeof *scripts));
    const sent *seen;
    int index;
    drawn = (unsigned long)time(NULL) & 0xffff;
    printf("     seed %lu\n", drawn);
    for (index = 0; index < 4; index++) clients[index] = story_retrying_client(index);
    for (index = 0; index < COUNT; index++) {
        int allowed = (int)draw(4), length = (int)draw(LONGEST), at, over = 0;
        char *fails = story_format("%s", "");
        last[index] = 200;
        expected[index] = 1;
        for (at = 0; at < length; at++) {
            int status = pool[draw(10)];
            fails = story_format("%s%s%d", fails, at ? "," : "", status);
            if (over) continue;
            over = at == allowed || (status && !passes(status));
            if (over) last[index] = status;
            else expected[index]++;
        }
        scripts[index] = story_format("key=random-%d;fail=%s;retry_after_ms=30;say=Hi", index, fails);
        start(&all[index], clients[allowed], queue, scripts[index], 0);
    }
    for (index = 0; index < COUNT; index++) finish(&all[index]);
    seen = log_read("random", COUNT);
    for (index = 0; index < COUNT; index++) {
        int good = last[index] == 200;
        if (seen[index].count != expected[index] || all[index].attempts != expected[index] || (all[index].tally->status == APERTIS_OK) != good
            || (!good && all[index].http != last[index]))
            story_fail(__FILE__, __LINE__, "%s: expected %d requests and HTTP %d at the end, saw %d, %d attempts, %s, HTTP %d", scripts[index], expected[index],
                       last[index], seen[index].count, (int)all[index].attempts, apertis_status_name(all[index].tally->status), (int)all[index].http);
        if (good) CHECK_TEXT(all[index].tally->text, "Hi");
        done(&all[index]);
        checks++;
    }
    for (index = 0; index < 4; index++) apertis_client_free(clients[index]);
    printf("%4d sequences of failures\n", COUNT);
}

/* ---- What bounds and ends a wait ---------------------------------------------------------- */

/* Three waits in a row without advice: they double. */
static void waits_double(apertis_queue *queue) {
    apertis_client *client = story_retrying_client(3);
    noted stream;
    const sent *seen;
    int attempt;
    start(&stream, client, queue, "key=double-0;status=503", 0);
    finish(&stream);
    seen = log_read("double", 1);
    CHECK_INT(seen->count, 4);
    for (attempt = 1; attempt < 4; attempt++) {
        int64_t least, most, took = seen->at[attempt] - seen->at[attempt - 1];
        bounds(attempt, 0, &least, &most);
        CHECK(took >= least - 1 && took <= most);
    }
    done(&stream);
    apertis_client_free(client);
    checks++;
}

/* However many retries are allowed and however soon they come. */
static void the_total_timeout_bounds_everything(apertis_queue *queue) {
    apertis_client *client = story_retrying_client(100);
    static const char *const scripts[] = { "status=503;retry_after_ms=100", "status=503;retry_after=60", "close=head", "status=429;retry_after=1;pace_ms=10" };
    noted streams[4];
    const sent *seen;
    int64_t began = story_ms();
    int index;
    for (index = 0; index < 4; index++) start(&streams[index], client, queue, story_format("key=total-%d;%s", index, scripts[index]), 2000);
    for (index = 0; index < 4; index++) {
        finish(&streams[index]);
        CHECK_STATUS(streams[index].tally->status, APERTIS_ERROR_TIMED_OUT);
        CHECK(story_ms() - began >= 2000 && story_ms() - began < 2000 + SLACK);
    }
    seen = log_read("total", 4);
    CHECK(seen[0].count >= 2 && seen[0].count <= 21);
    CHECK_INT(seen[1].count, 1);
    CHECK(seen[2].count >= 2 && seen[2].count <= 5);
    CHECK(seen[3].count >= 1 && seen[3].count <= 2);
    story_sleep_ms(1200);                                       /* nothing follows afterwards */
    for (index = 0; index < 4; index++) {
        const sent *later = log_read("total", 4);
        CHECK_INT(later[index].count, seen[index].count);
        done(&streams[index]);
    }
    apertis_client_free(client);
    checks++;
}

/* A wait of a minute, or of the two that are the most: whoever waits is told at once, and nothing is sent afterwards. */
static void ending_a_wait_is_immediate(int32_t delivery) {
    enum { CANCELLED, FREED, SHUT };
    static const char *const scripts[] = { "status=429;retry_after=60", "status=503;retry_after=120", "status=500;retry_after_ms=60000" };
    int how;
    for (how = CANCELLED; how <= SHUT; how++) {
        apertis_client *client = story_retrying_client(5);
        apertis_queue *queue = story_queue(delivery);
        noted stream;
        int64_t began, took;
        story_next_key();
        start(&stream, client, queue, scripts[how], 0);
        if (delivery == APERTIS_DELIVER_PUMP)
            while (!stream.retries) { CHECK(apertis_queue_pump(queue, 0) >= 0); story_sleep_ms(1); }
        else
            story_await(stream.tally, APERTIS_EVENT_RETRY, 1);
        story_sleep_ms(50);                                     /* it waits by now */
        began = story_ms();
        if (how == CANCELLED) apertis_stream_cancel(stream.stream);
        else if (how == FREED) apertis_stream_free(stream.stream);
        else CHECK_STATUS(apertis_shutdown(-1), APERTIS_OK);
        if (delivery == APERTIS_DELIVER_PUMP)
            while (!stream.tally->kinds[APERTIS_EVENT_END]) { CHECK(apertis_queue_pump(queue, 0) >= 0); story_sleep_ms(1); }
        finish(&stream);
        took = story_ms() - began;
        if (took >= 1000) story_fail(__FILE__, __LINE__, "ending a wait took %ld ms", (long)took);
        CHECK_STATUS(stream.tally->status, how == SHUT ? APERTIS_ERROR_SHUTDOWN : APERTIS_ERROR_CANCELLED);
        CHECK_INT(stream.attempts, 1);
        CHECK_INT(story_sent_count(), 1);
        apertis_queue_free(queue);
        apertis_client_free(client);
        done(&stream);
        checks++;
    }
}

/* Nothing is tried again once a delta was handed over, whatever is allowed. */
static void nothing_behind_a_delta(apertis_queue *queue) {
    apertis_client *client = story_retrying_client(5);
    static const char *const scripts[] = { "error_after=2;error=overloaded:overloaded_error:Busy", "close=700", "finish=none" };
    noted streams[3];
    const sent *seen;
    int index;
    for (index = 0; index < 3; index++)
        start(&streams[index], client, queue, story_format("key=delta-%d;say=one two three four five six;%s", index, scripts[index]), 0);
    for (index = 0; index < 3; index++) finish(&streams[index]);
    seen = log_read("delta", 3);
    for (index = 0; index < 3; index++) {
        CHECK(streams[index].tally->status < 0 && *streams[index].tally->text);
        CHECK_INT(seen[index].count, 1);
        done(&streams[index]);
    }
    apertis_client_free(client);
    checks++;
}

/* ---- Connections that died while nobody used them ------------------------------------------ */

/* The server closes what is idle before the next request: it is not noticed, even where no retry is allowed. */
static void an_idle_connection_that_was_closed_is_not_missed(void) {
    apertis_client *client = story_client();
    const sent *seen;
    int round;
    story_next_key();
    for (round = 0; round < 4; round++) {
        apertis_response_free(story_chat(client, "key=idle-0;say=Hi;idle_close_ms=100"));
        story_sleep_ms(1000);
    }
    seen = log_read("idle", 1);
    CHECK_INT(seen->count, 4);
    for (round = 1; round < 4; round++) CHECK(seen->connection[round] != seen->connection[round - 1]);
    apertis_client_free(client);
    checks++;
}

/* And one that dies under the request: a fresh one takes over within what is allowed, and at once. */
static void a_kept_connection_that_dies_under_the_request_is_replaced(void) {
    static const char *const deaths[] = { "close=head;times=1", "reset=head;times=1", "reset=accept;times=1" };
    int index, streamed, at_once = 0;
    for (index = 0; index < 3; index++) {
        for (streamed = 0; streamed < 2; streamed++) {
            /* Requests take turns between the library's threads, each with connections of its own: warm all. */
            apertis_client *client = story_retrying_client(1);
            const char *script = story_format("key=dead-%d;say=Hi;%s", index * 2 + streamed, deaths[index]);
            int warm;
            for (warm = 0; warm < 4; warm++) apertis_response_free(story_chat(client, "key=warm;say=Hi"));
            if (!streamed) {
                apertis_response *response = story_chat(client, script);
                CHECK_INT(apertis_response_attempts(response), 2);
                apertis_response_free(response);
            } else {
                apertis_stream *stream = story_start(client, script);
                apertis_response *response = NULL;
                CHECK_STATUS(apertis_stream_wait(stream, -1, &response, NULL), APERTIS_OK);
                CHECK_TEXT(apertis_response_text(response, NULL), "Hi");
                apertis_response_free(response);
                apertis_stream_free(stream);
            }
            apertis_client_free(client);
            checks++;
        }
    }
    {
        /* A connection that was never good gets no such favour. */
        apertis_client *client = story_retrying_client(1);
        const sent *seen;
        apertis_response_free(story_chat(client, "key=new-0;say=Hi;close=head;times=1"));
        apertis_client_free(client);
        seen = log_read("new", 1);
        CHECK(seen->count == 2 && seen->at[1] - seen->at[0] >= 374);
        seen = log_read("dead", 6);
        for (index = 0; index < 6; index++) {
            CHECK_INT(seen[index].count, 2);
            CHECK(seen[index].connection[0] != seen[index].connection[1]);
            at_once += seen[index].at[1] - seen[index].at[0] < 370;
        }
        /* The shortest of the usual waits is 375 ms. A busy machine may be slow now and then. */
        if (at_once < 4) story_fail(__FILE__, __LINE__, "only %d of 6 dead kept connections were replaced at once", at_once);
    }
}

/* What stands behind a body's end is not taken for the answer to the next request. */
static void bytes_behind_a_body_harm_nobody_else(void) {
    apertis_client *client = story_retrying_client(1);
    int round;
    for (round = 0; round < 60; round++) {
        apertis_request *request = story_request("key=behind;say=one two three;length=30", "Hello");
        apertis_status status = apertis_client_chat(client, request, NULL, NULL);
        /* The lie itself, or what an earlier one left behind. */
        CHECK(status < 0);
        apertis_request_free(request);
        apertis_response_free(story_chat(client, "key=behind;say=Hi"));
    }
    apertis_client_free(client);
    checks++;
}

int main(void) {
    apertis_queue *queue;
    int threads, files;
    story_begin();
    setvbuf(stdout, NULL, _IOLBF, 0);
    apertis_response_free(story_chat(story_client(), "say=warm"));
    CHECK_STATUS(apertis_shutdown(-1), APERTIS_OK);
    CHECK_SOON(story_thread_count() == 1);
    threads = story_thread_count();
    files = story_fd_count();
    queue = story_queue(APERTIS_DELIVER_THREAD);
    every_combination(queue);
    random_sequences(queue);
    waits_double(queue);
    the_total_timeout_bounds_everything(queue);
    nothing_behind_a_delta(queue);
    ending_a_wait_is_immediate(APERTIS_DELIVER_THREAD);
    ending_a_wait_is_immediate(APERTIS_DELIVER_PUMP);
    an_idle_connection_that_was_closed_is_not_missed();
    bytes_behind_a_body_harm_nobody_else();
    a_kept_connection_that_dies_under_the_request_is_replaced();
    apertis_queue_free(queue);
    CHECK_STATUS(apertis_shutdown(-1), APERTIS_OK);
    CHECK_SOON(story_thread_count() == threads);
    CHECK_SOON(story_fd_count() == files);
    printf("%d passed, 0 failed\n", checks);
    return story_end();
}
