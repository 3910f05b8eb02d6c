{# Whether a prediction is too near to the threshold to be acted on without a person; never without a band.
   Usage: {{ is_uncertain('positive_probability', 'decision_threshold', 'abstain_band') }} #}
{% macro is_uncertain(positive_probability, decision_threshold, abstain_band) -%}
    coalesce(abs({{ positive_probability }} - {{ decision_threshold }}) < {{ abstain_band }}, false)
{%- endmacro %}
