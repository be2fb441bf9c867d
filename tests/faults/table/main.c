/*
 * The fault table, tried and printed: fault x format x streamed or not x delivery -> what the caller saw.
 *
 * Many combinations run at once, each on a thread of its own. The gateway's log is the witness of how many requests were
 * sent. At the end the library is shut down, and no thread and no descriptor of it may be left.
 */
#include "fault.h"

/* Combinations that run at once, and the time that each has at most: a fault that is not noticed lasts ten minutes. */
enum { AT_ONCE = 48 };
#define LONGEST 60000
/* The time limits that are not on trial. */
#define FAR 90000

static trial *trials;
static size_t trial_count, next_trial;
static pthread_mutex_t next_lock = PTHREAD_MUTEX_INITIALIZER;
static apertis_client *clients[PLACES];

/* ---- Places where nobody answers ---- */

/* A port that is taken and does not listen; with a backlog, one that listens, and is full. */
static int closed_socket, full_socket, callers[8];

static int bound(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int handle = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(handle >= 0 && bind(handle, (struct sockaddr *)address, sizeof *address) == 0);
    CHECK(getsockname(handle, (struct sockaddr *)address, &size) == 0);
    return handle;
}

static apertis_client *client_at(const char *base) {
    apertis_config *config = story_config();
    CHECK_STATUS(apertis_config_set_api_base(config, base), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_proxy(config, ""), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_max_retries(config, 1), APERTIS_OK);
    return story_client_of(config);
}

static void open_places(void) {
    struct sockaddr_in address;
    size_t index;
    clients[GATEWAY] = client_at(story_base());
    closed_socket = bound(&address);
    clients[CLOSED_PORT] = client_at(story_format("http://127.0.0.1:%d/v1", ntohs(address.sin_port)));
    full_socket = bound(&address);
    CHECK(listen(full_socket, 0) == 0);
    for (index = 0; index < sizeof callers / sizeof *callers; index++) {
        callers[index] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fcntl(callers[index], F_SETFL, O_NONBLOCK) == 0);
        if (connect(callers[index], (struct sockaddr *)&address, sizeof address) != 0) CHECK(errno == EINPROGRESS);
    }
    clients[FULL_PORT] = client_at(story_format("http://127.0.0.1:%d/v1", ntohs(address.sin_port)));
    CHECK(getenv("APERTIS_TEST_RAW_BASE") != NULL && getenv("APERTIS_TEST_OTHER_BASE") != NULL);
    clients[RAW_SERVER] = client_at(getenv("APERTIS_TEST_RAW_BASE"));
    clients[NO_HTTP] = client_at(getenv("APERTIS_TEST_RAW_BASE"));
}

static void close_places(void) {
    size_t index;
    for (index = 0; index < PLACES; index++) apertis_client_free(clients[index]);
    for (index = 0; index < sizeof callers / sizeof *callers; index++) close(callers[index]);
    close(closed_socket);
    close(full_socket);
}

/* ---- One combination ---- */

static apertis_request *request_of(const trial *one) {
    const fault *of = one->fault;
    apertis_request *request = apertis_request_new();
    const int64_t limits[] = { of->connect, of->first_event, of->idle, of->total };
    int kind;
    CHECK(request != NULL);
    CHECK_STATUS(apertis_request_set_format(request, one->format + 1), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_header(request, "x-gateway", cut_script(of, one->format, asking_of(one->streamed, one->by), one->number)), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_USER, "Hello", APERTIS_NTS), APERTIS_OK);
    for (kind = APERTIS_TIMEOUT_CONNECT; kind <= APERTIS_TIMEOUT_TOTAL; kind++)
        CHECK_STATUS(apertis_request_set_timeout(request, kind, limits[kind - 1] ? limits[kind - 1] : FAR), APERTIS_OK);
    return request;
}

static const outcome *expected_of(const trial *one) { return one->streamed ? &one->fault->stream : &one->fault->whole; }

static const char *told(const outcome *of) {
    return story_format("%s, HTTP %d, code %s, %sretryable, %d attempt%s, \"%.60s\"", apertis_status_name(of->status) + 8, (int)of->http,
                        of->code ? of->code : "none", of->retryable ? "" : "not ", (int)of->attempts, of->attempts == 1 ? "" : "s", of->text);
}

static int same_text(const char *seen, const char *expected) { return seen && expected ? strcmp(seen, expected) == 0 : seen == expected; }

static const char *judge(const trial *one) {
    const outcome *saw = &one->saw;
    outcome expecting = *expected_of(one);
    const outcome *expected = &expecting;
    const fault *of = one->fault;
    int64_t wanted = of->retry_after == 0 ? -1 : of->retry_after;
    if (1 << one->format == MESSAGES) expecting.code = NULL;
    if (one->verdict) return one->verdict;
    if (saw->status != expected->status || (expected->http != ANY && saw->http != expected->http) || saw->retryable != expected->retryable
        || saw->attempts != expected->attempts || !same_text(saw->text, expected->text)
        || !same_text(saw->code, expected->code))
        return story_format("expected %s", told(expected));
    if (expected->says && (!saw->says || !strstr(saw->says, expected->says))) return story_format("the message does not say \"%s\"", expected->says);
    if (one->calls != of->calls) return story_format("%d tool calls instead of %d", one->calls, of->calls);
    if (of->retry_after == FOREVER ? one->retry_after <= 120000 : of->retry_after != ANY && one->retry_after != wanted)
        return story_format("retry-after is %lld ms, expected %lld", (long long)one->retry_after, (long long)wanted);
    if (one->took < of->least) return story_format("took %lld ms, and must take %lld", (long long)one->took, (long long)of->least);
    if (one->took > LONGEST) return story_format("took %lld ms", (long long)one->took);
    return NULL;
}

static void *work(void *unused) {
    (void)unused;
    for (;;) {
        trial *one;
        apertis_request *request;
        pthread_mutex_lock(&next_lock);
        one = next_trial < trial_count ? &trials[next_trial++] : NULL;
        pthread_mutex_unlock(&next_lock);
        if (!one) return NULL;
        if (one->skipped) continue;
        request = request_of(one);
        ways_run(one, clients[one->fault->to], request);
        apertis_request_free(request);
        one->verdict = judge(one);
    }
}

/* ---- The witness ---- */

/* How many requests came with each key; a key's number stands behind "fault-". */
static void ask_the_witness(void) {
    char *log = story_http_get("/_log"), *at = log;
    int *counts = (int *)story_keep(calloc(trial_count, sizeof *counts));
    size_t index;
    while ((at = strstr(at, "\"key\":\"fault-")) != NULL) {
        at += strlen("\"key\":\"fault-");
        index = strtoul(at, NULL, 10);
        CHECK(index < trial_count);
        counts[index]++;
    }
    for (index = 0; index < trial_count; index++) {
        trial *one = &trials[index];
        int expected = one->fault->requests ? one->fault->requests : expected_of(one)->attempts;
        if (!one->skipped && !one->verdict && one->fault->to == GATEWAY && counts[index] != expected)
            one->verdict = story_format("the gateway got %d requests instead of %d", counts[index], expected);
    }
}

static void the_other_host_heard_nothing(void) {
    const char *other = getenv("APERTIS_TEST_OTHER_BASE");
    const char *mine = story_base();
    CHECK(strcmp(other, mine) != 0);
    CHECK(setenv("APERTIS_TEST_BASE", other, 1) == 0);
    CHECK_INT(story_stat("requests"), 0);
    CHECK_TEXT(story_http_get("/_log"), "[]");
    CHECK(setenv("APERTIS_TEST_BASE", mine, 1) == 0);
}

/* ---- The table ---- */

static void lay_out(void) {
    const char *wanted = getenv("APERTIS_FAULT");
    size_t index;
    trials = (trial *)story_keep(calloc(fault_count * 2 * FORMATS * DELIVERIES, sizeof *trials));
    for (index = 0; index < fault_count; index++) {
        int streamed, format, by;
        for (streamed = 1; streamed >= 0; streamed--)
            for (format = 0; format < FORMATS; format++)
                for (by = BLOCKING; by < DELIVERIES; by++) {
                    trial *one = &trials[trial_count];
                    one->fault = &faults[index];
                    one->streamed = streamed;
                    one->format = format;
                    one->by = (delivery)by;
                    one->number = (int)trial_count++;
                    one->skipped = (one->fault->formats && !(one->fault->formats & 1 << format))
                                || (one->fault->only == 1 && !streamed)
                                || (one->fault->only == 2 && (streamed || by != BLOCKING))
                                || (one->fault->once && by != (streamed ? PULL : BLOCKING))
                                || (wanted && !strstr(one->fault->name, wanted));
                }
    }
}

/* A line for each fault and way to ask; a sign for each format and delivery. Returns how many failed. */
static int print_table(int *passed) {
    int failed = 0;
    size_t line, index;
    printf("\n%-46s %-6s  %-4s %-4s %-4s  %s\n", "fault", "answer", "chat", "resp", "mess", "what the caller saw");
    printf("%-46s %-6s  %-4s %-4s %-4s\n", "", "", "bput", "bput", "bput");
    for (line = 0; line < trial_count; line += FORMATS * DELIVERIES) {
        char signs[FORMATS][DELIVERIES + 1];
        const trial *shown = NULL;
        int64_t slowest = 0;
        memset(signs, 0, sizeof signs);
        for (index = line; index < line + FORMATS * DELIVERIES; index++) {
            const trial *one = &trials[index];
            signs[one->format][one->by] = one->skipped ? '.' : one->verdict ? 'F' : '+';
            if (one->skipped) continue;
            if (one->took > slowest) slowest = one->took;
            if (!shown || (one->verdict && !shown->verdict)) shown = one;
            *passed += !one->verdict;
            failed += one->verdict != NULL;
        }
        if (shown) printf("%-46s %-6s  %s %s %s  %s in %lld ms\n", shown->fault->name, shown->streamed ? "stream" : "whole",
                          signs[0], signs[1], signs[2], told(&shown->saw), (long long)slowest);
    }
    printf("\nb: blocking call, p: pulled, u: pumped, t: thread. +: as the table says, F: not so, .: left out as too large, or not to be had.\n");
    for (index = 0; index < trial_count; index++) {
        static const char *const formats[] = { "chat", "responses", "messages" };
        static const char *const ways[] = { "blocking", "pull", "pump", "thread" };
        const trial *one = &trials[index];
        if (one->verdict)
            printf("FAIL %s, %s, %s, %s: %s; saw %s after %lld ms (%s)\n", one->fault->name, formats[one->format], one->streamed ? "stream" : "whole",
                   ways[one->by], one->verdict, told(&one->saw), (long long)one->took, one->saw.says ? one->saw.says : "no message");
    }
    return failed;
}

int main(void) {
    pthread_t threads[AT_ONCE];
    int index, threads_before, files_before, passed = 0, failed;
    int64_t began;

    story_begin();
    began = story_ms();
    /* What the process itself opens once is open from here on. */
    clients[GATEWAY] = client_at(story_base());
    cut_learn(clients[GATEWAY]);
    apertis_client_free(clients[GATEWAY]);
    CHECK_STATUS(apertis_shutdown(-1), APERTIS_OK);
    CHECK_SOON(story_thread_count() == 1);
    threads_before = story_thread_count();
    files_before = story_fd_count();

    open_places();
    lay_out();
    for (index = 0; index < AT_ONCE; index++) CHECK(pthread_create(&threads[index], NULL, work, NULL) == 0);
    for (index = 0; index < AT_ONCE; index++) pthread_join(threads[index], NULL);
    close_places();
    CHECK_STATUS(apertis_shutdown(-1), APERTIS_OK);
    ask_the_witness();
    failed = print_table(&passed);
    printf("%d passed, %d failed, in %lld ms\n", passed, failed, (long long)(story_ms() - began));
    fflush(stdout);
    CHECK(passed > 0);
    CHECK_INT(failed, 0);
    the_other_host_heard_nothing();
    CHECK_SOON(story_thread_count() == threads_before);
    CHECK_SOON(story_fd_count() == files_before);
    return story_end();
}
