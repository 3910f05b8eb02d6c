{# Every example against every class: the one-vs-rest form that metrics of probabilities read.
   A label that the model does not know is a class to which it gave probability zero: its examples
   stay, and count against it. #}

with examples as (
    select * from {{ ref('scored_examples') }}
),

classes_in_question as (
    select
        examples.model_id,
        examples.evaluation_snapshot_id,
        examples.split,
        {{ array_item('examples.classes', 'class_position') }} as class_label
    from examples
    cross join {{ each_position('examples.classes', as_column = 'class_position') }}
    union distinct
    select
        model_id,
        evaluation_snapshot_id,
        split,
        label as class_label
    from examples
),

against_every_class as (
    select
        examples.model_id,
        examples.evaluation_snapshot_id,
        examples.object_id,
        examples.split_group_id,
        examples.split,
        examples.label,
        examples.is_correct,
        examples.positive_label,
        classes_in_question.class_label,
        examples.classes,
        examples.probabilities
    from examples
    inner join classes_in_question
        on
            examples.model_id = classes_in_question.model_id
            and examples.evaluation_snapshot_id = classes_in_question.evaluation_snapshot_id
            and examples.split = classes_in_question.split
),

located as (
    select
        *,
        {{ array_position('classes', 'class_label') }} as class_position
    from against_every_class
),

judged as (
    select
        model_id,
        evaluation_snapshot_id,
        object_id,
        split_group_id,
        split,
        class_label,
        coalesce({{ array_item('probabilities', 'class_position') }}, 0) as probability,
        class_label = label as is_label,
        -- two classes are judged by the positive one alone, several by each in turn
        positive_label is null or class_label = positive_label as is_judged,
        is_correct
    from located
),

errors as (
    {{ class_errors('judged') | indent(4) }}
)

select * from errors
