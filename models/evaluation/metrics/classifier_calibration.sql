{# Empty bins are rows too. -#}
with examples as (
    select * from {{ ref('scored_examples') }}
),

counts as (
    select
        model_id,
        evaluation_snapshot_id,
        split,
        {{ calibration_bin('probability') }} as bin,
        count(*) as example_count,
        avg(probability) as mean_probability,
        avg(case when is_correct then 1.0 else 0.0 end) as accuracy
    from examples
    group by model_id, evaluation_snapshot_id, split, {{ calibration_bin('probability') }}
),

evaluations as (
    select distinct
        model_id,
        classifier_id,
        task,
        evaluation_snapshot_id,
        split
    from examples
),

bins as (
    select number as bin from {{ numbers(calibration_bin_count()) }}
),

calibration as (
    select
        evaluations.model_id,
        evaluations.classifier_id,
        evaluations.task,
        evaluations.evaluation_snapshot_id,
        evaluations.split,
        cast(bins.bin as int64) as bin,
        coalesce(counts.example_count, 0) as example_count,
        counts.mean_probability,
        cast(counts.accuracy as {{ float_type() }}) as accuracy
    from evaluations
    cross join bins
    left join counts
        on
            evaluations.model_id = counts.model_id
            and evaluations.evaluation_snapshot_id = counts.evaluation_snapshot_id
            and evaluations.split = counts.split
            and bins.bin = counts.bin
)

select * from calibration
