{# A sum of hashes as text, to be hashed again: its digits alone, whatever decimals the engine's type carries.
   Usage: {{ sum_text('train_sums.fingerprint') }} #}
{% macro sum_text(sum) -%}
    {{ return(adapter.dispatch('sum_text')(sum)) }}
{%- endmacro %}

{% macro default__sum_text(sum) -%}
    cast({{ sum }} as string)
{%- endmacro %}

{% macro bigquery__sum_text(sum) -%}
    split(cast({{ sum }} as string), '.')[safe_offset(0)]
{%- endmacro %}
