/* A stream goes on by itself: its tool calls are answered from any thread, and the exchange can be continued; in every format. */
#include "story.h"

#define CALLS "tool=weather:%7B%22city%22%3A%22Bern%22%7D;tool=clock:%7B%7D"

static apertis_request *request_with_tools(const char *script, int32_t format, int32_t rounds) {
    apertis_request *request = story_request(script, "What is it like in Bern?");
    CHECK_STATUS(apertis_request_set_format(request, format), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool(request, "weather", "Tells the weather", NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool(request, "clock", NULL, NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_max_tool_rounds(request, rounds), APERTIS_OK);
    return request;
}

static void *answer_later(void *stream) {
    story_sleep_ms(30);
    CHECK_STATUS(apertis_stream_reply((apertis_stream *)stream, "call_1", "rain", APERTIS_NTS, 0), APERTIS_OK);
    return NULL;
}

/* The second call is answered at once, the first by another thread, and both results go out in the order of the calls. */
static void two_calls_and_their_results(apertis_client *client, int32_t format) {
    apertis_request *request, *next;
    apertis_stream *stream = NULL;
    const apertis_event *event = NULL;
    story_tally *tally = story_tally_new();
    pthread_t other;
    int calls = 0;

    story_next_key();
    request = request_with_tools(CALLS ";usage=10,5", format, 3);
    CHECK_STATUS(apertis_client_start(client, request, &stream, NULL), APERTIS_OK);
    CHECK_STATUS(apertis_stream_reply(stream, "call_1", "early", APERTIS_NTS, 0), APERTIS_ERROR_INVALID_ARGUMENT);
    while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        story_tally_add(tally, event);
        if (apertis_event_kind_of(event) == APERTIS_EVENT_TOOL_CALL) {
            CHECK_TEXT(apertis_event_tool_name(event), calls == 0 ? "weather" : "clock");
            CHECK_TEXT(apertis_event_json(event, NULL), calls == 0 ? "{\"city\":\"Bern\"}" : "{}");
            if (calls++ == 1) {
                CHECK_STATUS(apertis_stream_reply(stream, "call_9", "?", APERTIS_NTS, 0), APERTIS_ERROR_INVALID_ARGUMENT);
                CHECK_STATUS(apertis_stream_reply(stream, "call_2", "broken", APERTIS_NTS, 1), APERTIS_OK);
                CHECK_STATUS(apertis_stream_reply(stream, "call_2", "again", APERTIS_NTS, 0), APERTIS_ERROR_INVALID_ARGUMENT);
                CHECK_INT(pthread_create(&other, NULL, answer_later, stream), 0);
                CHECK_INT(pthread_join(other, NULL), 0);
            }
        } else if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
            const apertis_response *response = apertis_event_response(event);
            CHECK_INT(calls, 2);
            CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_STOP);
            CHECK_CONTAINS(apertis_response_text(response, NULL), "Results: rain, ");
            CHECK_CONTAINS(apertis_response_text(response, NULL), "broken");
            CHECK_INT(apertis_response_tool_call_count(response), 0);
            CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_OUTPUT), 10);      /* of both rounds */
            CHECK_INT(apertis_response_attempts(response), 2);
            next = apertis_request_clone(request);
            CHECK_STATUS(apertis_request_add_response(next, response), APERTIS_OK);
            CHECK_STATUS(apertis_request_add_message(next, APERTIS_ROLE_USER, "Thanks.", APERTIS_NTS), APERTIS_OK);
        }
    }
    CHECK_STATUS(tally->status, APERTIS_OK);
    CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 1);
    CHECK_INT(story_sent_count(), 2);
    CHECK_STATUS(apertis_stream_reply(stream, "call_1", "late", APERTIS_NTS, 0), APERTIS_ERROR_INVALID_ARGUMENT);
    apertis_stream_free(stream);

    /* The next question carries calls, results and answer. */
    {
        apertis_response *response = NULL;
        char *sent;
        CHECK_STATUS(apertis_request_set_max_tool_rounds(next, 0), APERTIS_OK);
        CHECK_STATUS(apertis_client_chat(client, next, &response, NULL), APERTIS_OK);
        apertis_response_free(response);
        sent = story_sent_body(2);
        CHECK_CONTAINS(sent, "rain");
        CHECK_CONTAINS(sent, "broken");
        CHECK_CONTAINS(sent, "Results: ");
        CHECK_CONTAINS(sent, "Thanks.");
        CHECK(strstr(sent, "call_1") < strstr(sent, "rain") && strstr(sent, "rain") < strstr(sent, "Results: "));
    }
    apertis_request_free(next);
    apertis_request_free(request);
    story_tally_free(tally);
}

static void reply_inside(void *user_data, const apertis_event *event) {
    int *calls = (int *)user_data;
    if (apertis_event_kind_of(event) != APERTIS_EVENT_TOOL_CALL) return;
    ++*calls;
    CHECK_STATUS(apertis_stream_reply(apertis_event_stream(event), apertis_event_tool_call_id(event), "ok", 2, 0), APERTIS_OK);
}

static void rounds_inside_a_blocking_call(apertis_client *client, int32_t format) {
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    int calls = 0;

    story_next_key();
    request = request_with_tools("tool=clock:%7B%7D;rounds=3", format, 3);
    CHECK_OK(apertis_client_chat_stream(client, request, reply_inside, &calls, &response, &error), error);
    CHECK_INT(calls, 3);
    CHECK_INT(story_sent_count(), 4);
    CHECK_CONTAINS(apertis_response_text(response, NULL), "Results: ");
    apertis_response_free(response);
    apertis_request_free(request);

    /* One round too many: the calls of the last one are in the response, but nobody is asked to run them. */
    story_next_key();
    calls = 0;
    request = request_with_tools("tool=clock:%7B%7D;rounds=9", format, 2);
    CHECK_STATUS(apertis_client_chat_stream(client, request, reply_inside, &calls, &response, &error), APERTIS_ERROR_TOOL_ROUNDS);
    CHECK_INT(calls, 2);
    CHECK_INT(story_sent_count(), 3);
    CHECK_INT(apertis_response_tool_call_count(response), 1);
    CHECK_CONTAINS(apertis_response_json(response, NULL), "\"tool_result\"");
    apertis_response_free(response);
    apertis_error_free(error);
    apertis_request_free(request);
}

static void cancel_in_the_middle_of_a_round(apertis_client *client, int32_t format) {
    apertis_request *request = request_with_tools(CALLS, format, 2);
    apertis_stream *stream = NULL;
    const apertis_event *event = NULL;
    apertis_status status = APERTIS_OK;
    CHECK_STATUS(apertis_client_start(client, request, &stream, NULL), APERTIS_OK);
    while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        if (apertis_event_kind_of(event) == APERTIS_EVENT_TOOL_CALL) apertis_stream_cancel(stream);
        if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
            status = (apertis_status)apertis_error_status(apertis_event_error(event));
            CHECK_INT(apertis_response_tool_call_count(apertis_event_response(event)), 2);
        }
    }
    CHECK_STATUS(status, APERTIS_ERROR_CANCELLED);
    apertis_stream_free(stream);
    apertis_request_free(request);
}

int main(void) {
    apertis_client *client;
    int32_t format;
    story_begin();
    client = story_client();
    for (format = APERTIS_FORMAT_CHAT_COMPLETIONS; format <= APERTIS_FORMAT_MESSAGES; format++) {
        two_calls_and_their_results(client, format);
        rounds_inside_a_blocking_call(client, format);
        cancel_in_the_middle_of_a_round(client, format);
    }
    apertis_client_free(client);
    return story_end();
}
