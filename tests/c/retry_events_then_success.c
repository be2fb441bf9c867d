/* The gateway stumbles twice; the stream says so in RETRY events, and then answers as if nothing had been. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_response *response;
    const apertis_event *event = NULL;
    story_tally *tally;
    int64_t began;

    story_begin();
    client = story_retrying_client(5);
    tally = story_tally_new();
    stream = story_start(client, "say=at%20last;fail=503,429;retry_after_ms=50");
    while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
        story_tally_add(tally, event);
        if (apertis_event_kind_of(event) == APERTIS_EVENT_RETRY) {
            const apertis_error *error = apertis_event_error(event);
            CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 0);
            CHECK_INT(apertis_error_http_status(error), tally->kinds[APERTIS_EVENT_RETRY] == 1 ? 503 : 429);
            CHECK_INT(apertis_error_attempts(error), tally->kinds[APERTIS_EVENT_RETRY]);
            CHECK_INT(apertis_error_retry_after_ms(error), 50);
            CHECK_INT(apertis_error_is_retryable(error), 1);
        }
        if (apertis_event_kind_of(event) == APERTIS_EVENT_END) CHECK_INT(apertis_response_attempts(apertis_event_response(event)), 3);
    }
    CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], 2);
    CHECK_STATUS(tally->status, APERTIS_OK);
    CHECK_TEXT(tally->text, "at last");
    apertis_stream_free(stream);
    story_tally_free(tally);
    CHECK_INT(story_sent_count(), 3);
    CHECK_TEXT(story_sent_body(2), story_sent_body(0));         /* the same question each time */
    CHECK(strtol(story_sent_about(1, "t_ms"), NULL, 10) - strtol(story_sent_about(0, "t_ms"), NULL, 10) >= 45);

    /* A blocking call does the same; a connection that dies without an answer counts too. */
    story_next_key();
    response = story_chat(client, "say=again;fail=0,500,408;retry_after_ms=1");
    CHECK_TEXT(apertis_response_text(response, NULL), "again");
    CHECK(apertis_response_attempts(response) >= 3);
    apertis_response_free(response);
    CHECK_INT(story_sent_count(), 4);

    /* Without Retry-After the first wait is half a second, at most a quarter less. */
    story_next_key();
    began = story_ms();
    apertis_response_free(story_chat(client, "say=patience;fail=500"));
    CHECK(story_ms() - began >= 370 && story_ms() - began < 8000);

    /* A provider that says "do retry" about a 400 is believed, and so is one that says "do not" about a 500. */
    story_next_key();
    apertis_response_free(story_chat(client, "say=yes;fail=400;should_retry=true;retry_after_ms=1"));
    CHECK_INT(story_sent_count(), 2);
    story_next_key();
    apertis_error_free(story_chat_fails(client, "fail=500;should_retry=false"));
    CHECK_INT(story_sent_count(), 1);

    /* A wait is cancelled like everything else. */
    stream = story_start(client, "status=503;retry_after=60");
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_OK);
    CHECK_INT(apertis_event_kind_of(event), APERTIS_EVENT_RETRY);
    began = story_ms();
    apertis_stream_cancel(stream);
    CHECK_STATUS(apertis_stream_wait(stream, -1, NULL, NULL), APERTIS_ERROR_CANCELLED);
    CHECK(story_ms() - began < 2000);
    apertis_stream_free(stream);
    apertis_client_free(client);
    return story_end();
}
