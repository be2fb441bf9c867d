/* Three texts become three vectors of floats, in their order. */
#include "story.h"

int main(void) {
    static const char *const texts[] = { "a cat", "a dog", "caf\xC3\xA9" };
    apertis_client *client;
    apertis_embeddings *embeddings = NULL, *again = NULL;
    apertis_error *error = NULL;
    size_t dimensions = 0, other = 0, index, at;

    story_begin();
    client = story_client_with("");
    CHECK_OK(apertis_client_embed(client, "text-embedding-3-small", texts, 3, &embeddings, &error), error);
    CHECK_INT(apertis_embeddings_count(embeddings), 3);
    for (index = 0; index < 3; index++) {
        const float *vector = apertis_embeddings_vector(embeddings, index, &dimensions);
        double sum = 0;
        CHECK(vector != NULL && dimensions > 0);
        CHECK(index == 0 || dimensions == other);
        other = dimensions;
        for (at = 0; at < dimensions; at++) {
            CHECK(vector[at] == vector[at] && vector[at] > -1e6f && vector[at] < 1e6f);
            sum += vector[at] * vector[at];
        }
        CHECK(sum > 0);
    }
    CHECK(memcmp(apertis_embeddings_vector(embeddings, 0, NULL), apertis_embeddings_vector(embeddings, 1, NULL), dimensions * sizeof(float)) != 0);
    CHECK(apertis_embeddings_vector(embeddings, 3, &dimensions) == NULL);
    CHECK_INT(dimensions, 0);
    CHECK_INT(story_sent_count(), 1);
    CHECK_TEXT(story_sent_about(0, "path"), "/v1/embeddings");
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);
    CHECK_TEXT(story_sent(0, "model"), "text-embedding-3-small");
    CHECK_TEXT(story_sent(0, "input/0"), "a cat");
    CHECK_TEXT(story_sent(0, "input/2"), "caf\xC3\xA9");
    CHECK(story_sent(0, "input/3") == NULL);

    /* The same text gives the same vector, alone or in company. */
    CHECK_OK(apertis_client_embed(client, "text-embedding-3-small", texts + 2, 1, &again, &error), error);
    CHECK_INT(apertis_embeddings_count(again), 1);
    CHECK(memcmp(apertis_embeddings_vector(embeddings, 2, NULL), apertis_embeddings_vector(again, 0, NULL), other * sizeof(float)) == 0);
    apertis_client_free(client);
    CHECK(apertis_embeddings_vector(embeddings, 0, NULL) != NULL);      /* outlives its client */
    apertis_embeddings_free(embeddings);
    apertis_embeddings_free(again);

    story_next_key();
    client = story_client_with("status=401");
    again = (apertis_embeddings *)&again;
    CHECK_STATUS(apertis_client_embed(client, "m", texts, 3, &again, &error), APERTIS_ERROR_AUTHENTICATION);
    CHECK(again == NULL);
    apertis_error_free(error);
    apertis_client_free(client);
    return story_end();
}
