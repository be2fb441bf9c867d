/* A program asks once, waits, and gets the whole answer with all that is known about it. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    const char *json;
    size_t length = 0;

    story_begin();
    client = story_client();
    request = story_request("say=Hello%20there;id=chatcmpl-7;model=gw-small;usage=12,3;header=x-request-id:req_1", "Hi");
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    CHECK(error == NULL);

    CHECK_TEXT(apertis_response_text(response, &length), "Hello there");
    CHECK_INT(length, 11);
    CHECK_TEXT(apertis_response_text(response, NULL), "Hello there");
    CHECK_TEXT(apertis_response_reasoning(response, &length), "");
    CHECK_INT(length, 0);
    CHECK(apertis_response_refusal(response, NULL) == NULL);
    CHECK_TEXT(apertis_response_id(response), "chatcmpl-7");
    CHECK_TEXT(apertis_response_model(response), "gw-small");
    CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_STOP);
    CHECK_TEXT(apertis_response_finish_reason(response), "stop");
    CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_INPUT), 12);
    CHECK_INT(apertis_response_usage(response, APERTIS_USAGE_OUTPUT), 3);
    CHECK_INT(apertis_response_attempts(response), 1);
    CHECK_INT(apertis_response_tool_call_count(response), 0);
    CHECK_TEXT(apertis_response_request_id(response), "req_1");
    CHECK_TEXT(apertis_response_header(response, "X-Request-Id"), "req_1");
    CHECK(apertis_response_header(response, "x-not-there") == NULL);
    CHECK(apertis_response_timing_us(response, APERTIS_TIMING_HEADERS) > 0);
    CHECK(apertis_response_timing_us(response, APERTIS_TIMING_TOTAL) >= apertis_response_timing_us(response, APERTIS_TIMING_HEADERS));
    json = apertis_response_json(response, &length);
    CHECK(json != NULL && json[0] == '{' && strlen(json) == length);
    CHECK_CONTAINS(json, "Hello there");
    json = apertis_response_raw(response, &length);
    CHECK(json != NULL && strlen(json) == length);
    CHECK_TEXT(story_json(json, "id"), "chatcmpl-7");
    CHECK_TEXT(story_json(json, "choices/0/message/content"), "Hello there");

    CHECK_INT(story_sent_count(), 1);
    CHECK_TEXT(story_sent_about(0, "method"), "POST");
    CHECK_TEXT(story_sent_about(0, "path"), "/v1/chat/completions");
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);
    CHECK_CONTAINS(story_sent_about(0, "headers/content-type"), "application/json");
    CHECK_TEXT(story_sent(0, "messages/0/role"), "user");
    CHECK_TEXT(story_sent(0, "messages/0/content"), "Hi");
    CHECK(story_sent(0, "messages/1") == NULL);

    apertis_request_free(request);
    apertis_client_free(client);
    CHECK_TEXT(apertis_response_text(response, NULL), "Hello there");   /* outlives its client */
    apertis_response_free(response);
    return story_end();
}
