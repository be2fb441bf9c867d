/* A terminal program waits in one call, and each word is handed to it on this very thread as it arrives. */
#include "story.h"

static pthread_t caller;
static int64_t first_word_at, end_at;

static void on_event(void *tally, const apertis_event *event) {
    CHECK(pthread_equal(pthread_self(), caller));
    if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT && !first_word_at) first_word_at = story_ms();
    if (apertis_event_kind_of(event) == APERTIS_EVENT_END) end_at = story_ms();
    story_tally_add((story_tally *)tally, event);
}

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    story_tally *tally;

    story_begin();
    caller = pthread_self();
    client = story_client();
    tally = story_tally_new();
    request = story_request("say=slowly%20word%20by%20word;deltas=4;pace_ms=80", "Hello");
    CHECK_OK(apertis_client_chat_stream(client, request, on_event, tally, &response, &error), error);
    CHECK(error == NULL);
    CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
    CHECK_STATUS(tally->status, APERTIS_OK);
    CHECK(tally->kinds[APERTIS_EVENT_TEXT] >= 2);
    CHECK(end_at - first_word_at >= 150);                       /* the words did not come all at the end */
    CHECK_TEXT(tally->text, "slowly word by word");
    CHECK_TEXT(apertis_response_text(response, NULL), "slowly word by word");
    apertis_response_free(response);
    apertis_request_free(request);
    story_tally_free(tally);

    /* A failure: RETRYs and END come, the call says the same as END, and there is no part. */
    tally = story_tally_new();
    request = story_request("status=400;error=bad:invalid_request_error:No%20good", "Hello");
    response = (apertis_response *)&response;
    CHECK_STATUS(apertis_client_chat_stream(client, request, on_event, tally, &response, &error), APERTIS_ERROR_BAD_REQUEST);
    CHECK(response == NULL);
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_BAD_REQUEST);
    CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 0);
    CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
    CHECK_STATUS(tally->status, APERTIS_ERROR_BAD_REQUEST);
    apertis_error_free(error);
    error = NULL;
    apertis_request_free(request);
    story_tally_free(tally);

    /* Nobody needs the response or the error. */
    tally = story_tally_new();
    request = story_request("say=Hi", "Hello");
    CHECK_STATUS(apertis_client_chat_stream(client, request, on_event, tally, NULL, NULL), APERTIS_OK);
    CHECK_TEXT(tally->text, "Hi");
    apertis_request_free(request);
    apertis_client_free(client);
    story_tally_free(tally);

    story_next_key();
    tally = story_tally_new();
    client = story_client_with("say=prompted");
    CHECK_OK(apertis_client_complete_stream(client, "Speak", 5, on_event, tally, &response, &error), error);
    CHECK_TEXT(tally->text, "prompted");
    CHECK_TEXT(apertis_response_text(response, NULL), "prompted");
    CHECK_TEXT(story_sent(0, "messages/0/content"), "Speak");
    CHECK_TEXT(story_sent(0, "stream"), "true");
    apertis_response_free(response);
    apertis_client_free(client);
    story_tally_free(tally);
    return story_end();
}
