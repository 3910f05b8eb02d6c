{# A query that judges classifications by scikit-learn's definitions: one row per `keys`, a column per metric, and `example_count`.
   A metric that the rows do not define is null, never a number that looks like a bad model.

   examples: name of a relation or CTE with the keys, label, predicted_label, probability (of the predicted label), is_correct,
             is_uncertain; one row per example.
   classes:  name of a relation or CTE with the keys, object_id, class_label, probability, is_label, is_judged, squared_error,
             log_loss; one row per example and class (see scored_classes).
   keys:     list of the columns that tell evaluations apart. #}
{% macro classification_metrics(examples, classes, keys) -%}
    {%- set columns = keys | join(', ') -%}
    with judged_classes as (
        select * from {{ classes }}
        where is_judged
    ),

    thresholds as (
        {{ class_thresholds('judged_classes', keys) | indent(8) }}
    ),

    ranks as (
        {{ ranking('thresholds', keys) | indent(8) }}
    ),

    losses as (
        select
            {{ columns }},
            avg(log_loss) as log_loss,
            sum(case when is_judged then squared_error end) / count(distinct object_id) as brier
        from {{ classes }}
        group by {{ columns }}
    ),

    bins as (
        select
            {{ columns }},
            count(*) as example_count,
            avg(probability) as mean_probability,
            avg(case when is_correct then 1.0 else 0.0 end) as accuracy
        from {{ examples }}
        group by {{ columns }}, {{ calibration_bin('probability') }}
    ),

    calibration_errors as (
        select
            {{ columns }},
            sum(example_count * abs(accuracy - mean_probability)) / sum(example_count) as ece
        from bins
        group by {{ columns }}
    ),

    decided_classes as (
        {{ decisions_by_class(examples, keys) | indent(8) }}
    ),

    macro_averages as (
        select
            {{ columns }},
            avg(f1) as macro_f1
        from decided_classes
        group by {{ columns }}
    ),

    decisions as (
        select
            {{ columns }},
            count(*) as example_count,
            avg(case when is_correct then 1.0 else 0.0 end) as accuracy,
            avg(case when is_uncertain then 0.0 else 1.0 end) as coverage,
            avg(case when is_uncertain then null when is_correct then 1.0 else 0.0 end) as selective_accuracy
        from {{ examples }}
        group by {{ columns }}
    )

    select
        {%- for key in keys %}
        decisions.{{ key }},
        {%- endfor %}
        ranks.roc_auc,
        ranks.pr_auc,
        losses.log_loss,
        losses.brier,
        calibration_errors.ece,
        decisions.accuracy,
        macro_averages.macro_f1,
        decisions.coverage,
        decisions.selective_accuracy,
        decisions.example_count
    from decisions
    {%- for relation in ['ranks', 'losses', 'calibration_errors', 'macro_averages'] %}
    inner join {{ relation }}
        on
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}decisions.{{ key }} = {{ relation }}.{{ key }}
            {%- endfor %}
    {%- endfor %}
{%- endmacro %}
