-- A classifier that the trainer would refuse, or train as something else than its row says.
select classifier_id
from {{ ref('classifiers') }}
where {{ fail_where(
    "(architecture = 'linear') <> (hidden_units is null) or hidden_units < 1 or weight_decay < 0",
    "concat('classifiers.csv: ', classifier_id, ': hidden_units is 1 or more for mlp and empty for linear; weight_decay is 0 or more.')"
) }}
