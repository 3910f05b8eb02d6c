{# Groups (customers) with rows in two splits of one snapshot: a leak. Returns one row per leaking group and snapshot. #}
{% test no_group_across_splits(model, column_name, within, split = 'split') %}

select
    {{ within }},
    {{ column_name }}
from {{ model }}
group by {{ within }}, {{ column_name }}
having count(distinct {{ split }}) > 1

{% endtest %}
