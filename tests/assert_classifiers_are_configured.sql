-- A classifier that the trainer would refuse, or train as something else than its row says.
select classifier_id
from {{ ref('classifiers') }}
where {{ fail_where(
    "(architecture = 'linear') <> (hidden_units is null) or hidden_units < 1 or weight_decay < 0 or weight_decay > 1000",
    "concat('classifiers.csv: ', classifier_id, ': hidden_units is 1 or more for mlp and empty for linear; weight_decay is 0 to 1000.')"
) }} or {{ fail_where(
    "(threshold_rule is null) <> (threshold_value is null) or threshold_value <= 0 or (threshold_rule = 'target_precision' and threshold_value > 1)",
    "concat('classifiers.csv: ', classifier_id, ': a threshold_rule has a threshold_value above 0, a target_precision of at most 1.')"
) }} or {{ fail_where(
    "positive_label is null and (threshold_rule is not null or abstain_band is not null) or abstain_band <= 0 or abstain_band >= 1",
    "concat('classifiers.csv: ', classifier_id, ': threshold_rule and abstain_band, above 0 and below 1, belong to a positive_label.')"
) }}
