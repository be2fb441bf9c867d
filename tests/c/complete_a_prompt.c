/* A program hands over a prompt, and the client's defaults do the rest. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_config *config;
    apertis_response *response = NULL;
    apertis_error *error = NULL;

    story_begin();
    client = story_client_with("say=Yes");
    CHECK_OK(apertis_client_complete(client, "Is this on?", APERTIS_NTS, &response, &error), error);
    CHECK_TEXT(apertis_response_text(response, NULL), "Yes");
    apertis_response_free(response);
    /* The length decides, not the NUL. */
    CHECK_OK(apertis_client_complete(client, "Stop here, not there", 9, &response, &error), error);
    apertis_response_free(response);
    apertis_client_free(client);

    CHECK_INT(story_sent_count(), 2);
    CHECK_TEXT(story_sent(0, "messages/0/role"), "user");
    CHECK_TEXT(story_sent(0, "messages/0/content"), "Is this on?");
    CHECK_TEXT(story_sent(1, "messages/0/content"), "Stop here");
    /* The default model reasons: its limit has the new name, and our default temperature stays at home. */
    CHECK_TEXT(story_sent(0, "model"), "gpt-5.2");
    CHECK_TEXT(story_sent(0, "max_completion_tokens"), "256");
    CHECK(story_sent(0, "max_tokens") == NULL);
    CHECK(story_sent(0, "temperature") == NULL);

    story_next_key();
    config = story_config();
    CHECK_STATUS(apertis_config_set_header(config, "x-gateway", story_script("say=Yes")), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_model(config, "gpt-4o-mini"), APERTIS_OK);
    client = story_client_of(config);
    CHECK_OK(apertis_client_complete(client, "And now?", APERTIS_NTS, NULL, &error), error);   /* nobody wants the answer */
    apertis_client_free(client);
    CHECK_TEXT(story_sent(0, "model"), "gpt-4o-mini");
    CHECK_TEXT(story_sent(0, "max_tokens"), "256");
    CHECK_TEXT(story_sent(0, "temperature"), "0.1");
    CHECK(story_sent(0, "max_completion_tokens") == NULL);

    /* What the caller set goes out also where our default would not. */
    story_next_key();
    config = story_config();
    CHECK_STATUS(apertis_config_set_header(config, "x-gateway", story_script("say=Yes")), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_temperature(config, 0.5), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_max_tokens(config, 0), APERTIS_OK);
    client = story_client_of(config);
    CHECK_OK(apertis_client_complete(client, "And now?", APERTIS_NTS, &response, &error), error);
    apertis_response_free(response);
    apertis_client_free(client);
    CHECK_TEXT(story_sent(0, "temperature"), "0.5");
    CHECK(story_sent(0, "max_completion_tokens") == NULL);      /* 0: the provider's own limit */
    return story_end();
}
