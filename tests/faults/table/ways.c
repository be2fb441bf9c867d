/* Asked for in one piece or as a stream, taken by a blocking call, by pulling, by pumping or by a thread: each way notes what
   its END said, and checks what must hold for every stream whatever its end. */
#include "fault.h"

/* How long a way waits for an END that should have come long before. */
#define PATIENCE 120000

typedef struct noted {
    story_tally *tally;
    outcome saw;
    int64_t retry_after;
    int calls, response_attempts, retries;
    char *message;
    const char *wrong;
} noted;

static char *copied(const char *text) { return text ? story_format("%s", text) : NULL; }

static void note_error(noted *into, const apertis_error *error) {
    into->saw.status = error ? apertis_error_status(error) : APERTIS_OK;
    into->saw.http = apertis_error_http_status(error);
    into->saw.code = copied(apertis_error_provider_code(error));
    into->saw.retryable = apertis_error_is_retryable(error);
    into->retry_after = error ? apertis_error_retry_after_ms(error) : -1;
    into->message = copied(apertis_error_message(error));
    if (error) into->saw.attempts = apertis_error_attempts(error);
}

static void note_response(noted *into, const apertis_response *response) {
    into->saw.text = copied(apertis_response_text(response, NULL));
    into->calls = (int)apertis_response_tool_call_count(response);
    into->response_attempts = apertis_response_attempts(response);
    if (into->saw.status == APERTIS_OK) into->saw.attempts = into->response_attempts;
}

static void on_event(void *user_data, const apertis_event *event) {
    noted *into = (noted *)user_data;
    int32_t kind = apertis_event_kind_of(event);
    if (kind == APERTIS_EVENT_RETRY) {
        const apertis_error *error = apertis_event_error(event);
        into->retries++;
        if (apertis_error_attempts(error) != into->retries) into->wrong = "a RETRY does not know how many attempts there were";
        if (!apertis_error_is_retryable(error)) into->wrong = "a RETRY after an error that is not retryable";
    }
    if (kind == APERTIS_EVENT_END) {
        note_error(into, apertis_event_error(event));
        note_response(into, apertis_event_response(event));
        if (apertis_response_timing_us(apertis_event_response(event), APERTIS_TIMING_TOTAL) < 0) into->wrong = "END does not say how long it took";
    }
    /* Last: whoever waits for END may go on from here. */
    story_tally_add(into->tally, event);
}

static void on_drop(void *user_data) { story_on_drop(((noted *)user_data)->tally); }

/* What every END of a stream has to be, beside what the table says of this one. */
static const char *holds(noted *of) {
    const story_tally *tally = of->tally;
    int started = tally->kinds[APERTIS_EVENT_STARTED];
    if (of->wrong) return of->wrong;
    if (tally->kinds[APERTIS_EVENT_END] != 1) return story_format("%d ENDs", tally->kinds[APERTIS_EVENT_END]);
    if (strcmp(tally->text, tally->part) != 0) return story_format("TEXT events gave \"%s\", END has \"%s\"", tally->text, tally->part);
    /* A wait that the total timeout ends has been announced already. */
    if (of->retries != of->saw.attempts - 1 && !(of->retries == of->saw.attempts && of->saw.status == APERTIS_ERROR_TIMED_OUT)) return story_format("%d RETRYs for %d attempts", of->retries, of->saw.attempts);
    if (of->response_attempts != of->saw.attempts) return "the attempts of error and response differ";
    if (of->calls != tally->kinds[APERTIS_EVENT_TOOL_CALL]) return story_format("%d TOOL_CALLs, %d calls in the response", tally->kinds[APERTIS_EVENT_TOOL_CALL], of->calls);
    if (of->saw.status != APERTIS_OK && of->saw.http < 300 && started && tally->finish != APERTIS_FINISH_INTERRUPTED && tally->finish != APERTIS_FINISH_STOP)
        return "a part of an answer that does not say INTERRUPTED";
    if (of->saw.status == APERTIS_OK && !started) return "no STARTED";
    return NULL;
}

/* The response of a call that waits: there on success and where something came, otherwise NULL. */
static const char *fits(int32_t status, const noted *of, apertis_response *response, apertis_error *error) {
    const char *text = apertis_response_text(response, NULL);
    if (status != of->saw.status) return story_format("the call returned %s", apertis_status_name(status));
    if ((error == NULL) != (status == APERTIS_OK)) return "the error does not fit the status";
    if (error && apertis_error_status(error) != status) return "the error has another status than the call";
    if (status == APERTIS_OK && !response) return "success without a response";
    if (status != APERTIS_OK && !response && *of->saw.text) return "the part that came was not handed over";
    if (status != APERTIS_OK && response && !*of->saw.text && !of->calls) return "a response where nothing came";
    if (response && strcmp(text, of->saw.text) != 0) return "the response has another text than END";
    return NULL;
}

static const char *blocking(const trial *one, apertis_client *client, apertis_request *request, noted *into) {
    apertis_response *response = (apertis_response *)into;
    apertis_error *error = (apertis_error *)into;
    const char *wrong;
    int32_t status;
    if (!one->streamed) {
        status = apertis_client_chat(client, request, &response, &error);
        note_error(into, error);
        note_response(into, response);
        if (!into->saw.text) into->saw.text = "";
        wrong = fits(status, into, response, error);
    } else {
        status = apertis_client_chat_stream(client, request, on_event, into, &response, &error);
        wrong = into->tally->kinds[APERTIS_EVENT_END] == 1 ? fits(status, into, response, error) : "the call returned before END";
        if (!wrong) wrong = holds(into);
    }
    apertis_response_free(response);
    apertis_error_free(error);
    return wrong;
}

/* A stream is pulled by itself, an answer in one piece through a queue. */
static const char *pull(const trial *one, apertis_client *client, apertis_request *request, noted *into) {
    apertis_queue *queue = one->streamed ? NULL : story_queue(APERTIS_DELIVER_PULL);
    apertis_stream *stream = NULL;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    const char *wrong = NULL;
    int32_t status;
    if (queue) CHECK_OK(apertis_client_start_on(client, request, queue, NULL, into, on_drop, &stream, &error), error);
    else CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    while (into->tally->kinds[APERTIS_EVENT_END] == 0) {
        status = queue ? apertis_queue_next(queue, PATIENCE, &event) : apertis_stream_next(stream, PATIENCE, &event);
        if (status != APERTIS_OK) { wrong = story_format("no END, but %s", apertis_status_name(status)); break; }
        if (apertis_event_stream(event) != stream) wrong = "an event of another stream";
        on_event(into, event);
    }
    if (!wrong && apertis_stream_next(stream, 0, &event) != APERTIS_DONE) wrong = "something comes behind END";
    if (!wrong) {
        status = apertis_stream_wait(stream, 0, &response, &error);
        wrong = fits(status, into, response, error);
        apertis_response_free(response);
        apertis_error_free(error);
    }
    apertis_stream_free(stream);
    apertis_queue_free(queue);
    if (!wrong && queue && story_drops(into->tally) != 1) wrong = story_format("%d drops", story_drops(into->tally));
    if (!wrong && apertis_stream_next(stream, 0, &event) != APERTIS_ERROR_INVALID_HANDLE) wrong = "the stream is there after its free";
    return wrong ? wrong : holds(into);
}

static int ended(noted *of) {
    int ends;
    pthread_mutex_lock(&of->tally->lock);
    ends = of->tally->kinds[APERTIS_EVENT_END];
    pthread_mutex_unlock(&of->tally->lock);
    return ends;
}

static const char *called_back(int32_t how, apertis_client *client, apertis_request *request, noted *into) {
    apertis_queue *queue = story_queue(how);
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    const char *wrong = NULL;
    int64_t until = story_ms() + PATIENCE;
    CHECK_OK(apertis_client_start_on(client, request, queue, on_event, into, on_drop, &stream, &error), error);
    if (how == APERTIS_DELIVER_PUMP) {
        struct pollfd ready;
        ready.fd = (int)apertis_queue_handle(queue);
        ready.events = POLLIN;
        CHECK(ready.fd >= 0);
        while (!ended(into) && story_ms() < until) {
            if (poll(&ready, 1, 1000) > 0 && apertis_queue_pump(queue, 0) < 0) wrong = "pumping failed";
        }
    } else {
        int32_t status = apertis_stream_wait(stream, PATIENCE, NULL, &error);
        if (!ended(into)) wrong = "the call that waits returned before END";
        else if (status != into->saw.status) wrong = "the call that waits returned something else than END said";
        apertis_error_free(error);
    }
    if (!ended(into)) wrong = "no END";
    apertis_stream_free(stream);
    /* The thread drops when its callback has returned. */
    while (!story_drops(into->tally) && story_ms() < until) story_sleep_ms(1);
    apertis_queue_free(queue);
    if (!wrong && story_drops(into->tally) != 1) wrong = story_format("%d drops", story_drops(into->tally));
    return wrong ? wrong : holds(into);
}

void ways_run(trial *one, apertis_client *client, apertis_request *request) {
    noted into;
    int64_t began = story_ms();
    memset(&into, 0, sizeof into);
    into.saw.text = "";
    into.retry_after = -1;
    into.tally = story_tally_new();
    switch (one->by) {
    case BLOCKING: one->verdict = blocking(one, client, request, &into); break;
    case PULL: one->verdict = pull(one, client, request, &into); break;
    case PUMP: one->verdict = called_back(APERTIS_DELIVER_PUMP, client, request, &into); break;
    default: one->verdict = called_back(APERTIS_DELIVER_THREAD, client, request, &into); break;
    }
    one->took = story_ms() - began;
    one->saw = into.saw;
    one->saw.says = into.message;
    one->retry_after = into.retry_after;
    one->calls = into.calls;
    story_tally_free(into.tally);
}
