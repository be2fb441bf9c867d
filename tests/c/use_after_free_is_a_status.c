/* Stale, twice freed, wrong-kind, garbage and NULL handles go into every function, and each says so instead of crashing. */
#include "story.h"

#define INVALID(call) CHECK_STATUS(call, APERTIS_ERROR_INVALID_HANDLE)
/* Calls with an error output: all outputs are NULL afterwards but the error, which says INVALID_HANDLE. */
#define INVALID_TOO(call) do { \
        response = (apertis_response *)&response; stream = (apertis_stream *)&stream; embeddings = (apertis_embeddings *)&embeddings; \
        body = "?"; error = NULL; length = 7; \
        INVALID(call); \
        CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_INVALID_HANDLE); \
        apertis_error_free(error); \
    } while (0)
#define NOTHING(call) do { length = 7; CHECK((call) == NULL); CHECK(length == 0 || length == 7); } while (0)
#define NO_TEXT(call) do { length = 7; CHECK((call) == NULL); CHECK_INT(length, 0); } while (0)
#define NEUTRAL(call) do { int64_t seen = (call); CHECK(seen == 0 || seen == -1); } while (0)

#define GARBAGE 23
enum { CONFIG, CLIENT, REQUEST, RESPONSE, STREAM, QUEUE, ERROR, EMBEDDINGS, KINDS };

static apertis_client *live_client;
static apertis_request *live_request;
static apertis_response *response;
static apertis_stream *stream;
static apertis_embeddings *embeddings;
static apertis_error *error;
static const apertis_event *event;
static const char *body;
static size_t length;
static int drops;
static const char *const texts[] = { "a", "b" };

static void on_event(void *user_data, const apertis_event *lent) { (void)user_data; (void)lent; CHECK(0); }
static void on_drop(void *user_data) { (void)user_data; drops++; }

static void config_functions(void *bad) {
    apertis_config *config = (apertis_config *)bad;
    apertis_client *client = (apertis_client *)&client;
    INVALID(apertis_config_set_api_key(config, "k"));
    INVALID(apertis_config_set_api_base(config, "http://localhost/v1"));
    INVALID(apertis_config_set_format(config, APERTIS_FORMAT_CHAT_COMPLETIONS));
    INVALID(apertis_config_set_model(config, "m"));
    INVALID(apertis_config_set_temperature(config, 0.5));
    INVALID(apertis_config_set_max_tokens(config, 5));
    INVALID(apertis_config_set_max_retries(config, 1));
    INVALID(apertis_config_set_timeout(config, APERTIS_TIMEOUT_IDLE, 5));
    INVALID(apertis_config_set_header(config, "a", "b"));
    INVALID(apertis_config_set_user_agent(config, "a"));
    INVALID(apertis_config_set_proxy(config, NULL));
    INVALID(apertis_config_set_trust(config, APERTIS_TRUST_BUNDLED));
    INVALID(apertis_config_add_ca_pem(config, "x", 1));
    INVALID(apertis_config_set_max_in_flight(config, 1));
    INVALID(apertis_config_set_rate_limit(config, 1));
    if (bad) {
        INVALID_TOO(apertis_client_new(config, &client, &error));
        CHECK(client == NULL);
    }
    apertis_config_free(config);
}

static void request_functions(void *bad) {
    apertis_request *request = (apertis_request *)bad;
    NOTHING(apertis_request_clone(request));
    INVALID(apertis_request_add_message(request, APERTIS_ROLE_USER, "x", 1));
    INVALID(apertis_request_attach_url(request, "image/png", "http://localhost/x"));
    INVALID(apertis_request_attach_data(request, "image/png", NULL, "x", 1));
    INVALID(apertis_request_add_tool_result(request, "id", "x", 1, 0));
    INVALID(apertis_request_set_model(request, "m"));
    INVALID(apertis_request_set_format(request, APERTIS_FORMAT_DEFAULT));
    INVALID(apertis_request_set_temperature(request, 1));
    INVALID(apertis_request_set_top_p(request, 1));
    INVALID(apertis_request_set_max_tokens(request, 1));
    INVALID(apertis_request_set_seed(request, 1));
    INVALID(apertis_request_add_stop(request, "x"));
    INVALID(apertis_request_set_reasoning_effort(request, "low"));
    INVALID(apertis_request_set_timeout(request, APERTIS_TIMEOUT_TOTAL, 1));
    INVALID(apertis_request_set_api_key(request, "k"));
    INVALID(apertis_request_set_header(request, "a", "b"));
    INVALID(apertis_request_set_json(request, "a", "1"));
    INVALID(apertis_request_add_fallback_model(request, "m"));
    INVALID(apertis_request_add_tool(request, "n", "d", "{}"));
    INVALID(apertis_request_set_tool_choice(request, "auto"));
    INVALID(apertis_request_set_parallel_tool_calls(request, 1));
    NO_TEXT(apertis_request_json(request, &length));
    INVALID_TOO(apertis_client_preview(live_client, request, &body, &length, &error));
    CHECK(body == NULL);
    INVALID_TOO(apertis_client_chat(live_client, request, &response, &error));
    CHECK(response == NULL);
    INVALID_TOO(apertis_client_chat_stream(live_client, request, on_event, NULL, &response, &error));
    CHECK(response == NULL);
    INVALID_TOO(apertis_client_start(live_client, request, &stream, &error));
    CHECK(stream == NULL);
    apertis_request_free(request);
}

static void queue_functions(void *bad) {
    apertis_queue *queue = (apertis_queue *)bad;
    int before = drops;
    event = (const apertis_event *)&event;
    INVALID(apertis_queue_next(queue, -1, &event));
    CHECK(event == NULL);
    INVALID(apertis_queue_pump(queue, 0));
    INVALID(apertis_queue_set_wakeup(queue, on_drop, NULL, on_drop));
    CHECK_INT(drops, before + 1);
    CHECK_INT(apertis_queue_handle(queue), -1);
    INVALID_TOO(apertis_client_start_on(live_client, live_request, queue, on_event, NULL, on_drop, &stream, &error));
    CHECK(stream == NULL);
    CHECK_INT(drops, before + 2);
    apertis_queue_free(queue);
}

static void client_functions(void *bad) {
    apertis_client *client = (apertis_client *)bad;
    apertis_queue *queue = story_queue(APERTIS_DELIVER_PULL);
    int before = drops;
    INVALID_TOO(apertis_client_warm(client, -1, &error));
    INVALID_TOO(apertis_client_preview(client, live_request, &body, &length, &error));
    INVALID_TOO(apertis_client_complete(client, "x", 1, &response, &error));
    CHECK(response == NULL);
    INVALID_TOO(apertis_client_chat(client, live_request, &response, &error));
    INVALID_TOO(apertis_client_chat_stream(client, live_request, on_event, NULL, &response, &error));
    INVALID_TOO(apertis_client_complete_stream(client, "x", 1, on_event, NULL, &response, &error));
    INVALID_TOO(apertis_client_start(client, live_request, &stream, &error));
    CHECK(stream == NULL);
    INVALID_TOO(apertis_client_start_on(client, live_request, queue, on_event, NULL, on_drop, &stream, &error));
    CHECK(stream == NULL);
    CHECK_INT(drops, before + 1);
    INVALID_TOO(apertis_client_call(client, "GET", "models", NULL, NULL, 0, &response, &error));
    CHECK(response == NULL);
    INVALID_TOO(apertis_client_embed(client, "m", texts, 2, &embeddings, &error));
    CHECK(embeddings == NULL);
    INVALID(apertis_client_start(client, live_request, &stream, NULL));     /* nobody wants the error */
    apertis_client_free(client);
    apertis_queue_free(queue);
}

static void stream_functions(void *bad) {
    apertis_stream *gone = (apertis_stream *)bad;
    event = (const apertis_event *)&event;
    INVALID(apertis_stream_next(gone, -1, &event));
    CHECK(event == NULL);
    INVALID_TOO(apertis_stream_wait(gone, -1, &response, &error));
    CHECK(response == NULL);
    apertis_stream_cancel(gone);
    apertis_stream_free(gone);
}

static void response_functions(void *bad) {
    apertis_response *gone = (apertis_response *)bad;
    INVALID(apertis_request_add_response(live_request, gone));
    NO_TEXT(apertis_response_text(gone, &length));
    NO_TEXT(apertis_response_reasoning(gone, &length));
    NO_TEXT(apertis_response_refusal(gone, &length));
    NO_TEXT(apertis_response_json(gone, &length));
    NO_TEXT(apertis_response_raw(gone, &length));
    NO_TEXT(apertis_response_tool_call_arguments(gone, 0, &length));
    NOTHING(apertis_response_text(gone, NULL));
    NOTHING(apertis_response_id(gone));
    NOTHING(apertis_response_model(gone));
    NOTHING(apertis_response_finish_reason(gone));
    NOTHING(apertis_response_tool_call_id(gone, 0));
    NOTHING(apertis_response_tool_call_name(gone, 0));
    NOTHING(apertis_response_request_id(gone));
    NOTHING(apertis_response_header(gone, "x"));
    CHECK_INT(apertis_response_finish(gone), APERTIS_FINISH_UNKNOWN);
    CHECK_INT(apertis_response_tool_call_count(gone), 0);
    CHECK_INT(apertis_response_usage(gone, APERTIS_USAGE_INPUT), -1);
    CHECK_INT(apertis_response_timing_us(gone, APERTIS_TIMING_TOTAL), -1);
    NEUTRAL(apertis_response_attempts(gone));
    apertis_response_free(gone);
}

static void error_functions(void *bad) {
    apertis_error *gone = (apertis_error *)bad;
    NEUTRAL(apertis_error_status(gone));
    NOTHING(apertis_error_message(gone));
    CHECK_INT(apertis_error_http_status(gone), 0);
    NOTHING(apertis_error_provider_code(gone));
    NOTHING(apertis_error_provider_type(gone));
    NOTHING(apertis_error_request_id(gone));
    CHECK_INT(apertis_error_retry_after_ms(gone), -1);
    CHECK_INT(apertis_error_is_retryable(gone), 0);
    NEUTRAL(apertis_error_attempts(gone));
    NO_TEXT(apertis_error_body(gone, &length));
    apertis_error_free(gone);
}

static void embeddings_functions(void *bad) {
    apertis_embeddings *gone = (apertis_embeddings *)bad;
    CHECK_INT(apertis_embeddings_count(gone), 0);
    NO_TEXT(apertis_embeddings_vector(gone, 0, &length));
    apertis_embeddings_free(gone);
}

static void no_event(void) {
    CHECK_INT(apertis_event_kind_of(NULL), APERTIS_EVENT_NONE);
    NOTHING(apertis_event_stream(NULL));
    NOTHING(apertis_event_user_data(NULL));
    NO_TEXT(apertis_event_text(NULL, &length));
    NOTHING(apertis_event_tool_call_id(NULL));
    NOTHING(apertis_event_tool_name(NULL));
    NO_TEXT(apertis_event_json(NULL, &length));
    NOTHING(apertis_event_response(NULL));
    NOTHING(apertis_event_error(NULL));
}

/* One of each. */
static void make(void *handles[KINDS]) {
    apertis_client *client = story_client();
    apertis_embeddings *made = NULL;
    handles[CONFIG] = apertis_config_new();
    handles[CLIENT] = client;
    handles[REQUEST] = story_request("say=Hi", "Hello");
    handles[RESPONSE] = story_chat(client, "say=still%20here");
    handles[STREAM] = story_start(client, "say=Hi");
    handles[QUEUE] = story_queue(APERTIS_DELIVER_PUMP);
    handles[ERROR] = story_chat_fails(client, "status=404");
    CHECK_STATUS(apertis_client_embed(client, "m", texts, 2, &made, NULL), APERTIS_OK);
    handles[EMBEDDINGS] = made;
}

static void free_all(void *handles[KINDS]) {
    apertis_config_free((apertis_config *)handles[CONFIG]);
    apertis_client_free((apertis_client *)handles[CLIENT]);
    apertis_request_free((apertis_request *)handles[REQUEST]);
    apertis_response_free((apertis_response *)handles[RESPONSE]);
    apertis_stream_free((apertis_stream *)handles[STREAM]);
    apertis_queue_free((apertis_queue *)handles[QUEUE]);
    apertis_error_free((apertis_error *)handles[ERROR]);
    apertis_embeddings_free((apertis_embeddings *)handles[EMBEDDINGS]);
}

int main(void) {
    static void (*const functions[KINDS])(void *) = { config_functions, client_functions, request_functions, response_functions,
                                                      stream_functions, queue_functions, error_functions, embeddings_functions };
    void *live[KINDS], *stale[KINDS];
    void *garbage[GARBAGE];
    apertis_response *rest = NULL;
    int kind, other;

    story_begin();
    live_client = story_client();
    live_request = story_request("say=Hi", "Hello");
    make(stale);
    free_all(stale);
    make(live);                             /* the slots are likely the same, the tickets are not */
    garbage[0] = NULL;
    garbage[1] = (void *)(uintptr_t)1;
    garbage[2] = (void *)(uintptr_t)0xDEADBEEF;
    garbage[3] = (void *)UINTPTR_MAX;
    garbage[4] = (void *)(uintptr_t)4096;
    for (other = 0; other < 16; other++) {
        garbage[5 + other] = (void *)(((uintptr_t)&live_client & ~(uintptr_t)15) + (uintptr_t)other);    /* the caller's own addresses */
    }
    for (kind = 0; kind < KINDS; kind++) {
        garbage[21] = (void *)((uintptr_t)live[kind] ^ (UINTPTR_MAX / 2 + 1));          /* one bit is wrong */
        garbage[22] = (void *)((uintptr_t)live[kind] + ((uintptr_t)1 << 6));
        for (other = 0; other < GARBAGE; other++)
            functions[kind](garbage[other]);
        for (other = 0; other < KINDS; other++) {
            functions[kind](stale[other]);
            if (other != kind) functions[kind](live[other]);    /* also their frees, which must not free it */
        }
    }
    free_all(stale);
    no_event();

    /* Nothing of that hurt those that live. */
    CHECK_TEXT(apertis_response_text((apertis_response *)live[RESPONSE], NULL), "still here");
    CHECK_STATUS(apertis_error_status((apertis_error *)live[ERROR]), APERTIS_ERROR_NOT_FOUND);
    CHECK_INT(apertis_embeddings_count((apertis_embeddings *)live[EMBEDDINGS]), 2);
    CHECK_STATUS(apertis_config_set_model((apertis_config *)live[CONFIG], "m"), APERTIS_OK);
    CHECK_INT(apertis_queue_pump((apertis_queue *)live[QUEUE], 0), 0);
    CHECK_STATUS(apertis_stream_wait((apertis_stream *)live[STREAM], -1, &rest, NULL), APERTIS_OK);
    apertis_response_free(rest);
    CHECK_STATUS(apertis_client_chat((apertis_client *)live[CLIENT], (apertis_request *)live[REQUEST], &rest, NULL), APERTIS_OK);
    apertis_response_free(rest);
    free_all(live);
    apertis_request_free(live_request);
    apertis_client_free(live_client);
    return story_end();
}
