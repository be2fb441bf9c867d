/*
 * max_in_flight: who waits starts in the order of the starts, leaves the line at once when it is cancelled, and knows how long
 * it waited. rate_limit: no minute has more requests than that, and a 429 stops them all for as long as it asks.
 */
#include "log.h"

/* Longer than anything here takes, and shorter than the minute of a rate limit. */
#define SOON 10000

static int checks;

/* A client that tries `retries` times more; 0: no limit of that kind. */
static apertis_client *limited(int32_t in_flight, int32_t per_minute, int32_t retries) {
    apertis_config *config = story_config();
    CHECK_STATUS(apertis_config_set_max_retries(config, retries), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_max_in_flight(config, in_flight), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_rate_limit(config, per_minute), APERTIS_OK);
    return story_client_of(config);
}

/* Waits for END and frees the stream; how long it had waited for its turn. */
static int64_t ends_with(apertis_stream *stream, int32_t status, int64_t within) {
    story_tally *tally = story_tally_new();
    const apertis_event *event = NULL;
    int64_t queued = -1, began = story_ms();
    int32_t seen;
    while ((seen = apertis_stream_next(stream, within, &event)) == APERTIS_OK) {
        story_tally_add(tally, event);
        if (apertis_event_kind_of(event) == APERTIS_EVENT_END) queued = apertis_response_timing_us(apertis_event_response(event), APERTIS_TIMING_QUEUED);
    }
    CHECK_STATUS(seen, APERTIS_DONE);
    CHECK_STATUS(tally->status, status);
    CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
    CHECK(story_ms() - began <= within);
    story_tally_free(tally);
    apertis_stream_free(stream);
    return queued;
}

/* Takes events until one of this kind comes. */
static void await_event(apertis_stream *stream, int32_t kind) {
    const apertis_event *event = NULL;
    do CHECK_STATUS(apertis_stream_next(stream, SOON, &event), APERTIS_OK);
    while (apertis_event_kind_of(event) != kind);
}

/* ---- max_in_flight ------------------------------------------------------------- */

/* Whatever thread of the library a stream lives on. */
static void they_start_in_the_order_of_their_start(void) {
    enum { STREAMS = 40 };
    apertis_stream *streams[STREAMS];
    int places, index;
    for (places = 1; places <= 3; places += 2) {
        apertis_client *client = limited(places, 0, 0);
        const sent *seen;
        const char *prefix = story_format("order%d", places);
        story_http_get("/_reset");
        for (index = 0; index < STREAMS; index++) streams[index] = story_start(client, story_format("key=%s-%d;say=a b;pace_ms=10", prefix, index));
        for (index = 0; index < STREAMS; index++) ends_with(streams[index], APERTIS_OK, SOON);
        CHECK_INT(story_stat("max_in_flight"), places);
        seen = log_read(prefix, STREAMS);
        for (index = 0; index < STREAMS; index++) CHECK_INT(seen[index].count, 1);
        /* With one place the order is strict. With more, neighbours are on their way at the same time. */
        for (index = 4 * places - 3; index < STREAMS; index++) {
            const int before = index - (4 * places - 3);
            if (seen[index].at[0] < seen[before].at[0])
                story_fail(__FILE__, __LINE__, "with %d places stream %d was sent at %ld ms, before stream %d at %ld ms", places, index,
                           (long)seen[index].at[0], before, (long)seen[before].at[0]);
        }
        apertis_client_free(client);
        checks++;
    }
}

static void the_line_can_be_left_at_once(void) {
    enum { STREAMS = 6 };
    apertis_client *client = limited(1, 0, 0);
    apertis_stream *streams[STREAMS];
    int64_t began;
    int index;
    story_next_key();
    /* The first has the place until it is cancelled. */
    streams[0] = story_start(client, "stall=head");
    for (index = 1; index < STREAMS; index++) streams[index] = story_start(client, "say=Hi");
    CHECK_SOON(story_sent_count() == 1);
    began = story_ms();
    apertis_stream_cancel(streams[2]);
    CHECK_INT(ends_with(streams[2], APERTIS_ERROR_CANCELLED, 1000), -1);    /* its turn never came */
    apertis_stream_free(streams[3]);
    CHECK(story_ms() - began < 1000);
    story_sleep_ms(100);
    CHECK_INT(story_sent_count(), 1);                            /* neither of them gave away a place that it did not have */
    apertis_stream_cancel(streams[0]);
    ends_with(streams[0], APERTIS_ERROR_CANCELLED, 1000);
    ends_with(streams[1], APERTIS_OK, SOON);
    ends_with(streams[4], APERTIS_OK, SOON);
    ends_with(streams[5], APERTIS_OK, SOON);
    CHECK_INT(story_sent_count(), 4);
    apertis_client_free(client);
    checks++;
}

/* A place comes back however the stream before ended. */
static void every_end_gives_the_place_back(void) {
    static const char *const ends[] = { "say=Hi", "status=400", "status=500", "reset=head", "close=40", "body=nonsense", "finish=none", "stall=head" };
    enum { ENDS = sizeof ends / sizeof *ends };
    apertis_client *client = limited(1, 0, 0);
    apertis_stream *streams[2 * ENDS];
    int index;
    story_next_key();
    for (index = 0; index < ENDS; index++) {
        apertis_request *request = story_request(ends[index], "Hello");
        apertis_error *error = NULL;
        if (strcmp(ends[index], "stall=head") == 0) CHECK_STATUS(apertis_request_set_timeout(request, APERTIS_TIMEOUT_FIRST_EVENT, 200), APERTIS_OK);
        CHECK_OK(apertis_client_start(client, request, &streams[2 * index], &error), error);
        apertis_request_free(request);
        streams[2 * index + 1] = story_start(client, "say=Hi");
    }
    for (index = 0; index < ENDS; index++) {
        apertis_stream_wait(streams[2 * index], SOON, NULL, NULL);
        apertis_stream_free(streams[2 * index]);
        ends_with(streams[2 * index + 1], APERTIS_OK, SOON);
    }
    CHECK_INT(story_sent_count(), 2 * ENDS);
    apertis_client_free(client);
    checks++;
}

static void the_time_in_line_is_told(void) {
    apertis_client *client = limited(1, 0, 0);
    apertis_stream *first, *second, *third;
    int64_t queued;
    story_next_key();
    first = story_start(client, "say=Hi;stall=head;stall_ms=1500");
    CHECK_SOON(story_sent_count() == 1);
    second = story_start(client, "say=Hi");
    queued = ends_with(first, APERTIS_OK, SOON);
    CHECK(queued >= 0 && queued < 1500000);
    queued = ends_with(second, APERTIS_OK, SOON);
    CHECK(queued >= 300000 && queued < SOON * 1000);
    /* One that never had its turn ended in line: no request, and the total timeout counts there too. */
    story_next_key();
    first = story_start(client, "stall=head");
    CHECK_SOON(story_sent_count() == 1);
    {
        apertis_request *request = story_request("say=Hi", "Hello");
        apertis_error *error = NULL;
        int64_t began = story_ms();
        CHECK_STATUS(apertis_request_set_timeout(request, APERTIS_TIMEOUT_TOTAL, 500), APERTIS_OK);
        CHECK_OK(apertis_client_start(client, request, &third, &error), error);
        CHECK_STATUS(apertis_stream_wait(third, SOON, NULL, &error), APERTIS_ERROR_TIMED_OUT);
        CHECK(story_ms() - began >= 500 && story_ms() - began < SOON);
        CHECK_INT(apertis_error_attempts(error), 0);
        CHECK_INT(apertis_error_http_status(error), 0);
        apertis_error_free(error);
        apertis_request_free(request);
        apertis_stream_free(third);
    }
    CHECK_INT(story_sent_count(), 1);
    apertis_stream_free(first);
    apertis_client_free(client);
    checks++;
}

/* ---- rate_limit -------------------------------------------------------------------- */

static void no_more_requests_than_that_in_a_minute(void) {
    enum { LIMIT = 3 };
    apertis_client *client = limited(0, LIMIT, 5);
    apertis_stream *streams[LIMIT + 2];
    int64_t began = story_ms();
    int index;
    story_next_key();
    for (index = 0; index < LIMIT + 2; index++) streams[index] = story_start(client, "say=Hi");
    for (index = 0; index < LIMIT; index++) ends_with(streams[index], APERTIS_OK, SOON);
    story_sleep_ms(1500);
    CHECK_INT(story_sent_count(), LIMIT);
    /* Those that wait for the minute to pass can be ended at once. */
    began = story_ms();
    apertis_stream_cancel(streams[LIMIT]);
    ends_with(streams[LIMIT], APERTIS_ERROR_CANCELLED, 1000);
    apertis_stream_free(streams[LIMIT + 1]);
    CHECK(story_ms() - began < 1000);
    CHECK_INT(story_sent_count(), LIMIT);
    apertis_client_free(client);
    checks++;
}

/* Attempts are requests: the server counts them. */
static void retries_count(void) {
    enum { LIMIT = 3 };
    apertis_client *client = limited(0, LIMIT, 20);
    apertis_request *request = story_request("status=503;retry_after_ms=20", "Hello");
    apertis_error *error = NULL;
    story_next_key();
    CHECK_STATUS(apertis_request_set_header(request, "x-gateway", story_script("status=503;retry_after_ms=20")), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_timeout(request, APERTIS_TIMEOUT_TOTAL, 2500), APERTIS_OK);
    CHECK_STATUS(apertis_client_chat(client, request, NULL, &error), APERTIS_ERROR_TIMED_OUT);
    if (story_sent_count() != LIMIT) story_fail(__FILE__, __LINE__, "%d requests within a minute, and %d are allowed", (int)story_sent_count(), LIMIT);
    CHECK_INT(apertis_error_attempts(error), LIMIT);
    apertis_error_free(error);
    apertis_request_free(request);
    apertis_client_free(client);
    checks++;
}

/* A 429 that names a time: until then nothing of this client is sent, whether the one that got it tries again or not. */
static void a_429_pauses_all_requests(void) {
    enum { OTHERS = 4 };
    int retries;
    for (retries = 0; retries <= 1; retries++) {
        apertis_client *client = limited(0, 1000, retries);
        apertis_stream *first, *others[OTHERS];
        const char *prefix = story_format("pause%d", retries);
        const sent *seen;
        int index;
        int64_t began;
        first = story_start(client, story_format("key=%s-0;status=429;retry_after_ms=1500;times=1;say=Hi", prefix));
        if (retries) await_event(first, APERTIS_EVENT_RETRY);
        else ends_with(first, APERTIS_ERROR_RATE_LIMITED, SOON);
        began = story_ms();
        for (index = 0; index < OTHERS; index++) others[index] = story_start(client, story_format("key=%s-%d;say=Hi", prefix, index + 1));
        if (retries) ends_with(first, APERTIS_OK, SOON);
        for (index = 0; index < OTHERS; index++) {
            int64_t queued = ends_with(others[index], APERTIS_OK, SOON);
            CHECK(queued <= (story_ms() - began) * 1000);
        }
        seen = log_read(prefix, OTHERS + 1);
        CHECK_INT(seen[0].count, 1 + retries);
        for (index = 1; index <= OTHERS; index++) {
            CHECK_INT(seen[index].count, 1);
            if (seen[index].at[0] - seen[0].at[0] < 1500)
                story_fail(__FILE__, __LINE__, "%d retries: a request was sent %ld ms after a 429 that asked for 1500", retries, (long)(seen[index].at[0] - seen[0].at[0]));
        }
        apertis_client_free(client);
        checks++;
    }
}

/* An answer that says that nothing remains until then does the same, in each way to say when. */
static void nothing_remains(void) {
    static const char *const names[] = { "seconds", "a part of a second", "a duration", "a date", "something remains", "no number" };
    const char *const resets[] = {
        "header=X-RateLimit-Remaining:0;header=X-RateLimit-Reset:2",
        "header=X-RateLimit-Remaining:0;header=X-RateLimit-Reset:1.6",
        "header=x-ratelimit-remaining-requests:0;header=x-ratelimit-reset-requests:1s700ms",
        story_format("header=X-RateLimit-Remaining:0;header=X-RateLimit-Reset:%ld", (long)time(NULL) + 4),
        "header=X-RateLimit-Remaining:1;header=X-RateLimit-Reset:20",
        "header=X-RateLimit-Remaining:0;header=X-RateLimit-Reset:soon",
    };
    static const int64_t least[] = { 1999, 1599, 1699, 0, 0, 0 };
    enum { WAYS = 6 };
    apertis_client *clients[WAYS];
    apertis_stream *streams[WAYS];
    const sent *seen;
    int64_t until = ((int64_t)time(NULL) + 4) * 1000, began = story_ms();
    int index;
    for (index = 0; index < WAYS; index++) {
        clients[index] = limited(0, 1000, 0);
        apertis_response_free(story_chat(clients[index], story_format("key=reset-%d;say=Hi;%s", index, resets[index])));
        streams[index] = story_start(clients[index], story_format("key=reset-%d;say=Hi", index));
    }
    for (index = WAYS - 1; index >= 0; index--) {
        struct timespec now;
        ends_with(streams[index], APERTIS_OK, SOON);
        clock_gettime(CLOCK_REALTIME, &now);
        if (index == 3) CHECK((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 >= until - 2);
        if (index == 4) CHECK(story_ms() - began < SOON);
        apertis_client_free(clients[index]);
    }
    seen = log_read("reset", WAYS);
    for (index = 0; index < WAYS; index++) {
        CHECK_INT(seen[index].count, 2);
        if (seen[index].at[1] - seen[index].at[0] < least[index])
            story_fail(__FILE__, __LINE__, "%s: the next request was sent after %ld ms", names[index], (long)(seen[index].at[1] - seen[index].at[0]));
    }
    checks++;
}

/* Another client, or one without the limit, is not paused. */
static void a_429_pauses_nobody_else(void) {
    apertis_client *client = limited(0, 1000, 1), *neighbour = limited(0, 1000, 0), *plain = limited(0, 0, 1);
    apertis_stream *first = story_start(client, "key=else-0;status=429;retry_after=20"), *second;
    int64_t began;
    await_event(first, APERTIS_EVENT_RETRY);
    began = story_ms();
    apertis_response_free(story_chat(neighbour, "key=else-1;say=Hi"));
    second = story_start(plain, "key=else-2;status=429;retry_after=20");
    await_event(second, APERTIS_EVENT_RETRY);
    apertis_response_free(story_chat(plain, "key=else-3;say=Hi"));
    CHECK(story_ms() - began < SOON);
    apertis_stream_free(first);
    apertis_stream_free(second);
    apertis_client_free(client);
    apertis_client_free(neighbour);
    apertis_client_free(plain);
    checks++;
}

int main(void) {
    story_begin();
    setvbuf(stdout, NULL, _IOLBF, 0);
    they_start_in_the_order_of_their_start();
    the_line_can_be_left_at_once();
    every_end_gives_the_place_back();
    the_time_in_line_is_told();
    no_more_requests_than_that_in_a_minute();
    a_429_pauses_nobody_else();
    a_429_pauses_all_requests();
    nothing_remains();
    retries_count();
    CHECK_STATUS(apertis_shutdown(-1), APERTIS_OK);
    CHECK_SOON(story_thread_count() == 1);
    printf("%d passed, 0 failed\n", checks);
    return story_end();
}
