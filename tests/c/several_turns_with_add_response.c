/* A conversation: each answer is added as it came, and the next request carries all that was said. */
#include "story.h"

static apertis_response *turn(apertis_client *client, apertis_request *request, const char *script, const char *said) {
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    CHECK_STATUS(apertis_request_set_header(request, "x-gateway", story_script(script)), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_USER, said, APERTIS_NTS), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    CHECK_STATUS(apertis_request_add_response(request, response), APERTIS_OK);
    return response;
}

int main(void) {
    apertis_client *client;
    apertis_request *request, *other_way;
    apertis_stream *stream = NULL;
    apertis_response *response = NULL;

    story_begin();
    client = story_client();
    request = apertis_request_new();
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_SYSTEM, "You are a clock.", APERTIS_NTS), APERTIS_OK);
    response = turn(client, request, "say=Tick", "One");
    CHECK_TEXT(apertis_response_text(response, NULL), "Tick");
    apertis_response_free(response);                            /* the request has its own copy */
    other_way = apertis_request_clone(request);
    apertis_response_free(turn(client, request, "say=Tock;reasoning=back%20and%20forth", "Two"));
    apertis_response_free(turn(client, request, "say=Tick", "Three"));

    CHECK_INT(story_sent_count(), 3);
    CHECK(story_sent(0, "messages/2") == NULL);
    CHECK_TEXT(story_sent(2, "messages/1/content"), "One");
    CHECK_TEXT(story_sent(2, "messages/2/role"), "assistant");
    CHECK_TEXT(story_sent(2, "messages/2/content"), "Tick");
    CHECK_TEXT(story_sent(2, "messages/3/role"), "user");
    CHECK_TEXT(story_sent(2, "messages/3/content"), "Two");
    CHECK_TEXT(story_sent(2, "messages/4/content"), "Tock");
    CHECK_TEXT(story_sent(2, "messages/5/content"), "Three");
    CHECK(story_sent(2, "messages/6") == NULL);

    /* The clone took another way from the fork on. */
    story_next_key();
    apertis_response_free(turn(client, other_way, "say=Dong", "Strike"));
    CHECK_TEXT(story_sent(0, "messages/2/content"), "Tick");
    CHECK_TEXT(story_sent(0, "messages/3/content"), "Strike");
    CHECK(story_sent(0, "messages/4") == NULL);
    apertis_request_free(other_way);

    /* The part of an interrupted answer goes back just as well, and so does one lent by an event. */
    story_next_key();
    CHECK_STATUS(apertis_request_set_header(request, "x-gateway", story_script("say=half%20a%20sentence;deltas=3;close=700")), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_USER, "Four", APERTIS_NTS), APERTIS_OK);
    CHECK_STATUS(apertis_client_start(client, request, &stream, NULL), APERTIS_OK);
    {
        const apertis_event *event = NULL;
        while (apertis_stream_next(stream, -1, &event) == APERTIS_OK)
            if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
                CHECK_STATUS(apertis_error_status(apertis_event_error(event)), APERTIS_ERROR_TRUNCATED);
                CHECK(strlen(apertis_response_text(apertis_event_response(event), NULL)) > 0);
                CHECK_STATUS(apertis_request_add_response(request, apertis_event_response(event)), APERTIS_OK);
            }
    }
    apertis_stream_free(stream);
    apertis_response_free(turn(client, request, "say=Go%20on", "Go on"));
    CHECK_TEXT(story_sent(1, "messages/8/role"), "assistant");
    CHECK(strncmp(story_sent(1, "messages/8/content"), "half", 4) == 0);
    CHECK_TEXT(story_sent(1, "messages/9/content"), "Go on");
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
