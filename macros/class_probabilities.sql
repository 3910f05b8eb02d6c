{# The stored networks as SQL whose size does not depend on theirs: a query with one row per
   (model_id, event_id), `probabilities` in the order of the model's classes.

   vectors: name of a relation or CTE with model_id, event_id, embedding; one row per pair to score.
   units:   name of a relation or CTE with the rows of `classifier_units`.
   Usage:   scores as ({{ class_probabilities('wanted_vectors', 'classifier_units') }})

   The caller pairs a model with vectors of the model's own encoder_fingerprint; a vector of another
   length stops the query.
   A pair whose model has no units gives no row. #}
{% macro class_probabilities(vectors, units) -%}
    with output_layers as (
        select
            model_id,
            max(layer) as layer
        from {{ units }}
        group by model_id
    ),

    -- cast once per vector here, not once per vector and unit below
    double_vectors as (
        select
            model_id,
            event_id,
            cast(embedding as {{ float_array_type() }}) as embedding
        from {{ vectors }}
    ),

    hidden_values as (
        select
            double_vectors.model_id,
            double_vectors.event_id,
            hidden_units.unit,
            greatest(
                0,
                {{ dot_product('hidden_units.weights', 'double_vectors.embedding') }}
                + hidden_units.bias
            ) as hidden_value
        from double_vectors
        inner join output_layers
            on
                double_vectors.model_id = output_layers.model_id
                and output_layers.layer = 2
        inner join {{ units }} as hidden_units
            on
                double_vectors.model_id = hidden_units.model_id
                and hidden_units.layer = 1
    ),

    -- what the output layer sees: the hidden values of an mlp, the vector itself of a linear model
    output_inputs as (
        select
            model_id,
            event_id,
            array_agg(hidden_value order by unit) as input_values
        from hidden_values
        group by model_id, event_id
        union all
        select
            double_vectors.model_id,
            double_vectors.event_id,
            double_vectors.embedding as input_values
        from double_vectors
        inner join output_layers
            on
                double_vectors.model_id = output_layers.model_id
                and output_layers.layer = 1
    ),

    logits as (
        select
            output_inputs.model_id,
            output_inputs.event_id,
            output_units.unit,
            {{ dot_product('output_units.weights', 'output_inputs.input_values') }}
            + output_units.bias as logit
        from output_inputs
        inner join output_layers
            on output_inputs.model_id = output_layers.model_id
        inner join {{ units }} as output_units
            on
                output_layers.model_id = output_units.model_id
                and output_layers.layer = output_units.layer
    ),

    -- less the largest logit, or exp overflows
    exponentials as (
        select
            model_id,
            event_id,
            unit,
            exp(logit - max(logit) over (partition by model_id, event_id)) as exponential
        from logits
    ),

    shares as (
        select
            model_id,
            event_id,
            unit,
            exponential / sum(exponential) over (partition by model_id, event_id) as probability
        from exponentials
    )

    select
        model_id,
        event_id,
        array_agg(probability order by unit) as probabilities
    from shares
    group by model_id, event_id
{%- endmacro %}
