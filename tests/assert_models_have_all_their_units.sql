-- A model whose rows are not the whole function: a unit is missing, or has too few weights.
with classifier_models as (
    select * from {{ ref('classifier_models') }}
),

units as (
    select
        model_id,
        layer,
        count(*) as unit_count,
        min({{ vector_length('weights') }}) as narrowest,
        max({{ vector_length('weights') }}) as widest
    from {{ ref('classifier_units') }}
    group by model_id, layer
),

expected as (
    select
        model_id,
        1 as layer,
        coalesce(hidden_units, {{ vector_length('classes') }}) as unit_count,
        embedding_dim as width
    from classifier_models
    union all
    select
        model_id,
        2 as layer,
        {{ vector_length('classes') }} as unit_count,
        hidden_units as width
    from classifier_models
    where hidden_units is not null
)

select expected.model_id
from expected
left join units
    on
        expected.model_id = units.model_id
        and expected.layer = units.layer
where
    units.model_id is null
    or units.unit_count <> expected.unit_count
    or units.narrowest <> expected.width
    or units.widest <> expected.width
