/* Before the player speaks the connection is opened; the first question then travels on it. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_config *config;
    apertis_error *error = NULL;
    long accepted;
    int64_t began;

    story_begin();
    client = story_client();
    accepted = story_stat("accepted");                          /* counts our own questions to it, too */
    CHECK_OK(apertis_client_warm(client, 5000, &error), error);
    apertis_response_free(story_chat(client, "say=Hi"));
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK_INT(story_stat("accepted"), accepted + 2);            /* ours, and one for warming and both answers */
    CHECK_TEXT(story_sent_about(1, "connection"), story_sent_about(0, "connection"));
    apertis_client_free(client);

    config = story_config();
    CHECK_STATUS(apertis_config_set_api_base(config, "http://127.0.0.1:1/v1"), APERTIS_OK);
    client = story_client_of(config);
    began = story_ms();
    CHECK_STATUS(apertis_client_warm(client, 5000, &error), APERTIS_ERROR_CONNECT);
    CHECK(story_ms() - began < 4000);
    CHECK(apertis_error_message(error) != NULL);
    apertis_error_free(error);
    apertis_client_free(client);
    return story_end();
}
