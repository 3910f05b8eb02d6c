{# How many examples of a snapshot are audited at most; of one customer a tenth of them. #}
{% macro most_audited_examples() %}{{ return(5000) }}{% endmacro %}
